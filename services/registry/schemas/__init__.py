"""Request and response models of registry: its HTTP contract."""
