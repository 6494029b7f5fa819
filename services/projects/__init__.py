"""Projects: from agreement to replication."""
