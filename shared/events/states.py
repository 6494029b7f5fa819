"""Pieces that the states of several aggregates share. Codes are plain strings here: a reader must accept new ones."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.reference.types import MoneyOrZero


class State(BaseModel):
    """The full public state of something after an event; unknown members are ignored when read."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Reason(State):
    """Why, as a code only: free text about people never travels in events."""

    code: str


class Owner(State):
    """The institution a capability or need belongs to, as it was named then."""

    id: UUID
    name: str
    country: str | None
    type: str | None = None


class PartyRef(State):
    """An institution in a match or project, as it was named then."""

    institution_id: UUID
    name: str
    country: str | None


class Serves(State):
    """For whom a capability is offered."""

    all_south: bool
    countries: list[str]
    blocs: list[str]


class Evidence(State):
    """A document that shows what an institution can do."""

    title: str
    url: str


class Sum(MoneyOrZero):
    """A sum of money in an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class RoleRef(PartyRef):
    """A partner with its role; `to` is exclusive and None while the role lasts."""

    role: str


class DatedRole(RoleRef):
    """A role held from a day on, in the JSON members `from` and `to`."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", from_attributes=True, populate_by_name=True, serialize_by_alias=True
    )

    from_: date = Field(alias="from")
    to: date | None = None
