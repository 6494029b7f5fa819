"""Notifications: everybody who must know, knows."""
