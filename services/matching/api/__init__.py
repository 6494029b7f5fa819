"""Routes of matching."""

from services.matching.api import facilitators, matches, suggestions

ROUTERS = (matches.router, facilitators.router, suggestions.router)
