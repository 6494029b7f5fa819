"""What changes the state of notifications, one function per change."""
