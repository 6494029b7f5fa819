"""Matching: which capability answers which need, and the life of a match."""
