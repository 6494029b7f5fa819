"""Routes of matching."""

from services.matching.api import conversing, facilitators, matches, policies, rounds, stats, suggestions

ROUTERS = (
    matches.router,
    conversing.router,
    facilitators.router,
    suggestions.router,
    policies.router,
    rounds.router,
    stats.router,
)
