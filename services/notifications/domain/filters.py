"""Which events a webhook wants. An empty filter lets everything pass; several filters must all pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.notifications.domain.happening import PARTIES, PUBLIC, values_named
from shared.reference import classifications

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from services.notifications.domain.happening import Happening

ALL = "*"
_COUNTRIES = ("country", "countries", "host_country")
_INSTITUTIONS = ("institution_id", "giver_id", "receiver_id", "submitted_by", "partner_ids")


@dataclass(frozen=True, slots=True)
class Marks:
    """By what an event can be filtered."""

    name: str
    visibility: str
    parties: Collection[UUID]
    countries: Collection[str]
    institutions: Collection[UUID]
    isic: Collection[str]


def marks_of(event: Happening) -> Marks:
    """Every country, institution and class in the state that the event carries (not in `by`)."""
    state = {name: value for name, value in event.data.items() if name != "by"}
    owners = [{"institution_id": part["institution"]["id"]} for part in state.values() if _has_owner(part)]
    ids = {UUID(value) for value in values_named([state, *owners], *_INSTITUTIONS)}
    return Marks(
        event.name,
        event.visibility,
        event.parties,
        sorted(set(_countries(event, state))),
        sorted(ids | event.parties),
        sorted(set(values_named(state, "isic"))),
    )


def _countries(event: Happening, state: dict[str, Any]) -> Iterator[str]:
    yield from values_named(state, *_COUNTRIES)
    if event.resource == "country":
        yield event.state["code"]


def _has_owner(part: Any) -> bool:  # noqa: ANN401 (any JSON)
    return isinstance(part, dict) and isinstance(part.get("institution"), dict)


def may_see(marks: Marks, institution_id: UUID) -> bool:
    """Public events, and those in which the institution is a party; private ones never leave."""
    return marks.visibility == PUBLIC or (marks.visibility == PARTIES and institution_id in marks.parties)


def wants(event_types: Collection[str], filters: dict[str, list[str]], marks: Marks) -> bool:
    """Whether types and filters of a webhook let the event pass."""
    if ALL not in event_types and marks.name not in event_types:
        return False
    isic = filters.get("isic", [])
    return (
        _any_listed(filters.get("countries"), marks.countries)
        and _any_listed(filters.get("institution_ids"), [str(one) for one in marks.institutions])
        and (not isic or any(_falls_under(code, listed) for code in marks.isic for listed in isic))
    )


def _any_listed(listed: Collection[str] | None, values: Collection[str]) -> bool:
    return not listed or not set(listed).isdisjoint(values)


def _falls_under(code: str, listed: str) -> bool:
    """By prefix; a section letter stands above the divisions, which have no letter of their own."""
    if listed.isalpha() and classifications.is_isic(code):
        return classifications.isic_section_of(code) == listed
    return code.startswith(listed)
