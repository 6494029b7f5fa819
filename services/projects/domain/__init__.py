"""Rules of projects: pure functions and state tables, no I/O."""
