"""Countries and their dated status."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from pydantic import BaseModel

from shared.api import Body, Resource
from shared.reference.countries import Group
from shared.reference.types import Day, Text


class Status(BaseModel):
    """One dated fact in force on the day, with its source."""

    status: str
    valid_from: date | None
    valid_to: date | None
    state: str
    source: str
    note: str | None


class Scheduled(BaseModel):
    """A planned end; changes nothing until it is `confirmed`."""

    group: str
    leaves_on: date
    source: str
    confirmed: bool


class CountryOut(Resource):
    """A country on the day `as_of`."""

    collection: ClassVar[str] = "countries"

    code: str
    alpha2: str
    name: str
    version: int
    as_of: date
    groups: list[str]
    south: bool
    income_group: str | None
    blocs: list[str]
    scheduled: list[Scheduled]
    statuses: list[Status]
    actions: list[str]


class ConfirmIn(Body):
    """The word on a scheduled end: the day it takes effect, or null when it is called off."""

    group: Group
    leaves_on: Day | None
    source: Text
