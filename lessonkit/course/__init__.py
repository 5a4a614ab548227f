"What a learner meets around the lessons: data sets, exercises, lab, command line. It trains nothing and draws nothing."
