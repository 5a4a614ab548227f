"What runs beneath the Learner. It knows no lesson, no data set and no widget."
