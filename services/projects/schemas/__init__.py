"""Request and response models of projects: the HTTP contract."""
