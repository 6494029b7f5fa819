"""Routes of matching."""

from services.matching.api import facilitators, matches, policies, rounds, suggestions

ROUTERS = (matches.router, facilitators.router, suggestions.router, policies.router, rounds.router)
