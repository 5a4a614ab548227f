"What answers the lessons ask for, and the inputs they are tried on. It teaches nothing: no learner is handed it, and no lesson imports it."
