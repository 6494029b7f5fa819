"""Routes of registry, one file per resource: parse, call a command, show."""

from __future__ import annotations

from services.registry.api import (
    capabilities,
    centres,
    countries,
    institutions,
    keys,
    needs,
    tokens,
    trade,
    verifications,
)

ROUTERS = (
    tokens.router,
    keys.router,
    institutions.router,
    verifications.router,
    capabilities.router,
    needs.router,
    centres.router,
    countries.router,
    trade.router,
)
