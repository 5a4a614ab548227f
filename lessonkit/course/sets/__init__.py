"One module a data set: its loader, its entry, its stand-in, and the truth the stand-in is drawn from."
