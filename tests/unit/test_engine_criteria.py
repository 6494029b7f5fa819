"""Each criterion against figures worked out by hand, from inputs alone."""

import math
from datetime import date
from typing import Any

import pytest

from services.matching.engine import criteria
from services.matching.engine.inputs import common_depth
from services.matching.engine.world import Flows, ReferenceWorld, michaely


@pytest.mark.parametrize(
    ("need", "capability", "depth", "value"),
    [
        ("1511", "1511", 4, 1.0),
        ("1511", "1512", 3, 0.8),
        ("1511", "1520", 2, 0.5),
        ("15", "1511", 2, 0.5),
        ("15", "15", 2, 0.5),
        ("1511", "2100", 1, 0.2),
        ("C", "1511", 1, 0.2),
        ("1511", "0116", 0, 0.0),
        ("9999", "1511", 0, 0.0),
    ],
)
def test_sector_is_the_depth_of_the_common_ancestor(need: str, capability: str, depth: int, value: float) -> None:
    assert common_depth(need, capability) == common_depth(capability, need) == depth
    stated = {"need": need, "capability": capability, "depth": depth, "implied_factor": 0.8}
    assert criteria.sector(**stated, implied=False) == value
    assert criteria.sector(**stated, implied=True) == value * 0.8


def _text(**changes: Any) -> float:
    inputs: dict[str, Any] = {
        "terms": [["tan", 2, 10, 1.0]],
        "unmatched": [[40, 1.0]],
        "documents": 100,
        "average_length": 50.0,
        "length": 50,
        "k1": 1.2,
        "b": 0.75,
    }
    return criteria.text(**(inputs | changes))


def test_text_is_bm25_over_the_best_possible() -> None:
    """Hand: idf(10) = ln(1 + 90.5/10.5), idf(40) = ln(1 + 60.5/40.5); at average length tf 2 gives 4.4/3.2."""
    rare, common = math.log(1 + 90.5 / 10.5), math.log(1 + 60.5 / 40.5)
    assert _text() == pytest.approx(rare * (2 * 2.2 / 3.2) / (rare + common))
    assert _text(unmatched=[]) == 1.0
    assert _text(terms=[]) == 0.0
    assert _text(terms=[], unmatched=[]) == 0.0


def test_text_falls_with_length_and_rises_with_boost() -> None:
    assert _text(length=100) < _text() < _text(length=10)
    assert _text(terms=[["tan", 2, 10, 2.0]]) > _text()


def test_text_holds_without_any_statistics() -> None:
    assert 0 < _text(documents=0, average_length=0.0, length=0) < 1
    assert criteria.idf(0, 0) == pytest.approx(math.log(2))
    assert criteria.idf(5, 9) > 0


def test_resources_is_the_share_of_kinds_sought() -> None:
    assert criteria.resources(sought=["financial", "technical", "training"], covered=["technical", "training"]) == 2 / 3


def test_sdg_counts_targets_full_and_goals_half() -> None:
    assert criteria.sdg(targets=3, shared=["9.4"], goal_only=["1.4"]) == 0.5
    assert criteria.sdg(targets=0, shared=[], goal_only=[]) == 0.0


def test_goods_is_the_share_of_hs_chapters() -> None:
    assert criteria.goods(chapters=4, common=["41", "64"]) == 0.5
    assert criteria.goods(chapters=1, common=[]) == 0.0


def test_language_is_all_or_nothing() -> None:
    assert criteria.language(common=["en"]) == 1.0
    assert criteria.language(common=[]) == 0.0


def test_region_is_the_share_of_blocs() -> None:
    assert criteria.region(blocs=8, common=["BRICS", "G77"]) == 0.25


@pytest.mark.parametrize(
    ("common", "income", "need_income", "value"),
    [
        (["ldc", "lldc"], 0, 0, 1.0),
        (["ldc"], 1, 0, (0.5 + 2 / 3) / 2),
        ([], 3, 0, 0.0),
        (["ldc"], None, 0, 0.25),
        (["ldc"], 1, None, 0.5),
    ],
)
def test_context_is_the_mean_of_groups_and_income(
    common: list[str], income: int | None, need_income: int | None, value: float
) -> None:
    inputs = {"country": "UGA", "groups": ["ldc", "lldc"], "common": common, "worked_in": False}
    assert criteria.context(**inputs, income=income, need_income=need_income) == pytest.approx(value)


def _record(projects: list[list[str | float | None]]) -> float:
    return criteria.track_record(
        projects=projects, on="2026-11-24", half_life_days=1825, unrated=0.75, prior=0.5, prior_weight=2.0
    )


def test_a_newcomer_is_not_at_zero() -> None:
    assert _record([]) == 0.5


def test_track_record_weighs_rating_and_age() -> None:
    """Hand: a project of today counts 1, one of five years ago half: (2 * .5 + 1 * .9 + .5 * .6) / 3.5."""
    today, old = [date(2026, 11, 24).isoformat(), 0.9], [date(2021, 11, 25).isoformat(), 0.6]
    assert _record([today, old]) == pytest.approx((1.0 + 0.9 + 0.3) / 3.5)
    assert _record([["2026-11-24", None]]) == pytest.approx((1.0 + 0.75) / 3)
    assert _record([["2027-06-01", 1.0]]) == pytest.approx(2 / 3), "a date ahead is not worth more than today"


def test_evidence_saturates() -> None:
    """Hand: 1 practice + 2 * 1 replication = 3 points of 3 + 3."""
    assert criteria.evidence(practices=1, replications=1, verified=0, half_at=3.0) == 0.5
    assert criteria.evidence(practices=0, replications=0, verified=0, half_at=3.0) == 0.0


def test_responsiveness_is_shrunk_like_the_record() -> None:
    assert criteria.responsiveness(in_time=0, total=0, prior=0.5, prior_weight=2.0) == 0.5
    assert criteria.responsiveness(in_time=8, total=8, prior=0.5, prior_weight=2.0) == 0.9


def test_michaely_measures_the_overlap_of_shares() -> None:
    """Hand: 1 - (|.6 - .2| + |.4 - .3| + |0 - .5|) / 2 = .5."""
    exports, imports = {"09": 0.6, "41": 0.4}, {"09": 0.2, "41": 0.3, "84": 0.5}
    assert michaely(exports, imports) == pytest.approx(0.5)
    assert michaely(exports, exports) == 1.0
    world = ReferenceWorld(flows=Flows(exports={"RWA": exports}, imports={"IND": imports}))
    on = date(2026, 11, 24)
    assert world.complementarity("RWA", "IND", on) == pytest.approx(0.5)
    assert world.complementarity("IND", "RWA", on) is None
    assert world.trades("RWA", on)
    assert not world.trades("ETH", on)


def test_trade_takes_the_better_direction() -> None:
    assert criteria.trade(provider_to_need=0.3, need_to_provider=0.5) == 0.5
    assert criteria.trade(provider_to_need=None, need_to_provider=0.4) == 0.4
    assert criteria.trade(provider_to_need=None, need_to_provider=None) == 0.0


def test_every_formula_states_itself() -> None:
    assert set(criteria.VALUES) == {
        *("sector", "text", "resources", "sdg", "goods", "language", "region", "context"),
        *("track_record", "evidence", "responsiveness", "trade"),
    }
    assert all(len(str(function.__doc__)) > 40 for function in criteria.VALUES.values())
