"What several lessons' engines share: flattened forests, tables as numbers, vocabularies, journals. Knows no lesson."
