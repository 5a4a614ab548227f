"One explorer a module: state, view, sentence, wiring. It computes nothing that a lesson teaches."
