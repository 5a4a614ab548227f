"""Real-browser tests: JupyterLab and Notebook 7 in Chromium, driven as a learner would drive them.

A new explorer needs one row in `test_explorers.py`; everything else here serves all of them.
Pictures to look at are left in `shots/`, which git ignores.
"""
