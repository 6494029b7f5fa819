"""The rules of registry, as pure functions and state tables."""
