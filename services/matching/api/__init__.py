"""Routes of matching."""

from services.matching.api import facilitators, matches, policies, suggestions

ROUTERS = (matches.router, facilitators.router, suggestions.router, policies.router)
