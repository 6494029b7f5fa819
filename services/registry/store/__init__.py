"""Every SQL statement of registry, with the filter of what a caller may see."""
