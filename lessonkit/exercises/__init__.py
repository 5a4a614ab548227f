"The answers to the exercises, a module for each lesson. No learner is handed them, and no lesson imports them."
