"""The routes of notifications: parse, call, answer."""
