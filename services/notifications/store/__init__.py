"""Every SQL statement of notifications, ownership filter included."""
