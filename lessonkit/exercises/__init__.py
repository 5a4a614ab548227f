"What the exercises are checked against. It teaches nothing: no learner is handed it, and no lesson imports it."
