"""Static code lists with typed access: countries, blocs, classifications, words, value types.

Every list names its source in `data/README.md`. All but `types` import the standard library only,
so a service's pure domain layer may use them. Data files are read at first use and kept.
"""
