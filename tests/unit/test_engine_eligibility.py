"""The hard rules, one by one, on the leather story."""

from datetime import date
from typing import Any

import pytest

from services.matching.engine.eligibility import RULES, Pair, eligible, reasons
from services.matching.engine.model import Serves
from services.matching.engine.world import ReferenceWorld
from tests.unit.test_engine_story import CHROME, CLRI, ON, TWINNING, capability, need, provider

WORLD = ReferenceWorld()


def _pair(**changes: Any) -> Pair:
    facts = {"need": CHROME, "capability": TWINNING, "provider": CLRI, "on": ON, "world": WORLD} | changes
    return Pair(**facts)


def test_the_pair_of_the_contract_is_eligible() -> None:
    assert reasons(_pair()) == []
    assert eligible(_pair())


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"capability": capability(resource_kinds=("equipment",))}, ["no_common_resource_kind"]),
        ({"capability": capability(status="draft")}, ["not_published"]),
        ({"capability": capability(renew_by=date(2026, 11, 23))}, ["renewal_overdue"]),
        ({"provider": provider(status="registered")}, ["provider_not_verified"]),
        ({"provider": provider(status="suspended")}, ["provider_suspended"]),
        ({"capability": capability(serves=Serves(countries=("KEN",)))}, ["country_not_served"]),
        ({"capability": capability(serves=Serves(blocs=("ECOWAS",)))}, ["country_not_served"]),
        ({"provider": provider(country=None, type="multilateral")}, ["multilateral_only_facilitating"]),
        ({"provider": provider(country="KEN", type="multilateral")}, ["multilateral_only_facilitating"]),
        ({"provider": provider(country=None, type="financial_institution")}, ["multilateral_only_facilitating"]),
        ({"provider": provider(country="DEU")}, ["provider_not_in_south"]),
        ({"provider": provider(country="ETH")}, ["domestic_not_welcome"]),
        ({"capability": capability(engaged=2)}, ["no_free_capacity"]),
        ({"quiet": {"twinning"}}, ["declined_recently"]),
        ({"need": need(institution_id="clri")}, ["own_institution"]),
    ],
)
def test_each_rule_excludes_with_its_code(changes: dict[str, Any], codes: list[str]) -> None:
    assert reasons(_pair(**changes)) == codes
    assert not eligible(_pair(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"capability": capability(renew_by=ON)},
        {"capability": capability(engaged=1)},
        {"capability": capability(serves=Serves(countries=("ETH",)))},
        {"capability": capability(serves=Serves(blocs=("COMESA",)))},
        {"provider": provider(country="ETH"), "need": need(domestic_welcome=True)},
        {"quiet": {"another"}},
    ],
)
def test_the_edge_of_each_rule_still_passes(changes: dict[str, Any]) -> None:
    assert reasons(_pair(**changes)) == []


def test_trade_is_a_common_kind_only_with_a_chapter_in_common() -> None:
    seeks = need(resource_kinds=("trade",), hs=("0904",))
    buys = capability(resource_kinds=("trade",), hs=("090421",))
    assert reasons(_pair(need=seeks, capability=buys)) == []
    assert reasons(_pair(need=seeks, capability=capability(resource_kinds=("trade",), hs=("4107",)))) == [
        "no_common_hs_chapter"
    ]


def test_trade_without_common_goods_does_not_exclude_when_another_kind_is_shared() -> None:
    pair = _pair(
        need=need(resource_kinds=("trade", "training"), hs=("0904",)),
        capability=capability(resource_kinds=("trade", "training"), hs=("4107",)),
    )
    assert reasons(pair) == []


def test_a_bloc_is_taken_as_of_the_day() -> None:
    """Niger left ECOWAS on 2025-01-29."""
    offer = capability(serves=Serves(blocs=("ECOWAS",)))
    seeks = need(country="NER")
    assert eligible(_pair(need=seeks, capability=offer, on=date(2025, 1, 28)))
    assert reasons(_pair(need=seeks, capability=offer, on=date(2025, 1, 29))) == ["country_not_served"]


def test_all_south_does_not_serve_the_north() -> None:
    assert reasons(_pair(need=need(country="DEU"))) == ["country_not_served"]


def test_a_listing_names_every_rule_that_excludes() -> None:
    pair = _pair(
        capability=capability(status="withdrawn", engaged=2, resource_kinds=("trade",)),
        provider=provider(status="suspended", country="DEU"),
        quiet={"twinning"},
    )
    assert reasons(pair) == [
        "no_common_resource_kind",
        "not_published",
        "provider_suspended",
        "provider_not_in_south",
        "no_free_capacity",
        "declined_recently",
    ]


def test_every_rule_is_documented_and_named_once() -> None:
    assert len({code for code, _ in RULES}) == len(RULES) == 13
    assert all(rule.__doc__ for _, rule in RULES)
