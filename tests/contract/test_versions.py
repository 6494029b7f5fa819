"""A second version of an event stands beside the first in every document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from shared.contracting import asyncapi, files, openapi, release, samples, schemas
from shared.contracting.documents import Documents
from shared.events.registry import NeedPosted
from shared.events.states import State

if TYPE_CHECKING:
    from shared.service import Service


class NeedPostedAnew(NeedPosted):
    """It is open for partners, in a new form."""

    wire: ClassVar[str] = "org.bandung.NeedPosted.v2"
    opened_by: str


@pytest.fixture
def later(services: list[Service]) -> list[Service]:
    """The services once registry tells both."""
    registry, *others = services
    return [replace(registry, publishes=[*registry.publishes, NeedPostedAnew]), *others]


def test_both_stand_in_the_documents(later: list[Service]) -> None:
    for document in (asyncapi.of_service(later[0]), asyncapi.for_partners(later)):
        assert {"NeedPosted", "NeedPosted.v2"} <= document["components"]["messages"].keys()
        parts = document["components"]["schemas"]
        assert "opened_by" in parts["NeedPosted.v2"]["properties"]
        assert "opened_by" not in parts["NeedPosted"]["properties"]
    served = Documents(later[0])
    assert served.schema("NeedPosted", "1") != served.schema("NeedPosted", "2")
    assert served.schema("NeedPosted", "3") is None


def test_a_webhook_may_bring_both(later: list[Service]) -> None:
    notifications = replace(later[-1], delivers=[NeedPosted, NeedPostedAnew])
    assert openapi.of_service(notifications)["webhooks"].keys() == {"NeedPosted", "NeedPosted.v2"}


def test_adding_it_is_clean_and_gives_it_samples_of_its_own(
    services: list[Service], later: list[Service], tmp_path: Path
) -> None:
    old, new = (release.present(some, files.documents(some)) for some in (services, later))
    assert release.breaks(old, new) == []
    samples.add(samples.lacking(services, tmp_path), tmp_path)
    assert [s.name for s in samples.lacking(later, tmp_path)] == ["NeedPosted.v2/001.json", "NeedPosted.v2/002.json"]


def test_taking_the_first_away_is_a_break(services: list[Service], later: list[Service]) -> None:
    registry, *others = later
    rest = [replace(registry, publishes=[e for e in registry.publishes if e is not NeedPosted]), *others]
    old, new = (release.present(some, files.documents(some)) for some in (services, rest))
    assert {(b.document, b.change.kind) for b in release.breaks(old, new)} == {
        ("schemas/NeedPosted.v1.json", "removed")
    }


class Reason(State):
    """Another model with a name that is taken."""

    words: str


class NeedRenounced(NeedPosted):
    """It would bring two models of one name into a document."""

    wire: ClassVar[str] = "org.bandung.NeedRenounced.v1"
    why: Reason


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Two different models"):
        schemas.as_components([NeedPosted, NeedRenounced])
