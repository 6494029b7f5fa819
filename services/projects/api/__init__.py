"""Routes of projects, one file per resource."""
