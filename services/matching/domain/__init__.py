"""Rules of matching as pure functions."""
