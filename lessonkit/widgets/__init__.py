"The kit that every explorer is made of. It knows no lesson and computes no idea."
