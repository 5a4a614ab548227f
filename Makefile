# What one does here daily. `make` alone lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NB     ?= nbs/[0-9]*.ipynb nbs/*/*.ipynb
LESSON ?= 32_bptt
THREE  := -n 3 --dist worksteal
FOUR   := -n 4
# a process that may not keep compiled modules compiles PyTorch anew: 2.4 s each, and the tests start hundreds
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help lab gallery edit test export clean readme outputs unit browser bench gpu
help:            ## this list
	@sed -n 's/^\([a-z]*\):.*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(READY): settings.ini setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"lessonkit needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev,distributed,insight]'
	@touch $@

lab: $(READY)    ## play: JupyterLab on your own copy of the lessons, in lessons/ (LESSON=30_tokens opens another)
	$(BIN)/lessonkit lab lessons --open $(LESSON)

gallery: $(READY) ## every explorer as a page that needs no Python, in gallery/
	$(BIN)/lessonkit gallery gallery

edit: $(READY)   ## work on the notebooks themselves
	$(BIN)/jupyter lab nbs

# two notebooks at a time, a core each; then three tests and four browsers, for they often wait
test: export OMP_NUM_THREADS = 1
test: $(READY)   ## everything CI runs: notebooks, sync and clean checks, unit, wheel and browser tests
	$(BIN)/nbdev_test --n_workers 2 --timing
	$(BIN)/python -m pytest tests --ignore tests/browser $(THREE)
	$(BIN)/python -m pytest tests/browser $(FOUR)

unit: $(READY)   ## the tests that need no browser and build no wheel
	$(BIN)/python -m pytest tests --ignore tests/browser --ignore tests/test_wheel.py $(THREE)

browser: $(READY) ## the real-browser tests alone; screenshots in tests/browser/shots
	$(BIN)/python -m pytest tests/browser $(FOUR)

export: $(READY) ## write lessonkit/ from nbs/
	$(BIN)/nbdev_export

clean: $(READY)  ## notebooks as they are committed: no counters, no widget state, static outputs
	$(BIN)/nbdev_clean
	$(BIN)/python tools/notebooks.py strip

readme: $(READY) ## README.md from nbs/index.ipynb
	$(BIN)/python tools/notebooks.py readme

outputs: $(READY) ## run notebooks and keep their outputs (NB=nbs/32_bptt.ipynb for one; SLOW=1: the long runs on real data first)
	$(BIN)/python tools/notebooks.py outputs $(if $(SLOW),--real) $(NB)

bench: $(READY)  ## side by side against peers, one table
	$(BIN)/python benchmarks/run.py

gpu: $(READY)    ## on a machine with a GPU: the cuda-flagged cells, then the real runs and their figures
	$(BIN)/nbdev_test --flags cuda --n_workers 1
	$(BIN)/python tools/notebooks.py outputs --real $(NB)
