"""Trade flows and profiles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.api import Resource
from shared.reference.types import TradeValue, UtcDateTime

Chapter = Annotated[str, Field(pattern="^[0-9]{2}$", examples=["09"])]
Chapters = Annotated[dict[str, TradeValue], Field(description="US dollars by HS chapter")]


class TradeFlowOut(Resource):
    """What the reporter exported to the partner in a year, in US dollars, over a whole HS chapter."""

    reporter: str
    partner: str
    hs: str
    year: int
    value: TradeValue


class TradeImportOut(Resource):
    """What a file held, and whose profiles are others now."""

    rows: int
    reporters: list[str]
    years: list[int]
    countries_changed: list[str]


class TradeProfileOut(Resource):
    """Exports and imports of a country, each in the latest year that is known; null and empty where none is."""

    country: str
    version: int
    name: str
    exports_year: int | None
    exports: Chapters
    imports_year: int | None
    imports: Chapters
    updated_at: UtcDateTime
