"""Rules of notifications: who is told, in which words, which webhook wants what, and when to try again."""
