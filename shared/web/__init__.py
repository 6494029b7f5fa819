"""HTTP conventions of all services: problems, tokens, versions, paging, limits. Knows no database."""
