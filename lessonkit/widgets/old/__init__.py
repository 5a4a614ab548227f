"The kit as it was, for explorers that are not ported yet."
