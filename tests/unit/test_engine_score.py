"""The explained score: the leather story by hand, the promise of the contract, recomputation for ever."""

import json
from dataclasses import replace
from datetime import date
from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.matching.engine.model import CapabilityFacts, CompletedProject, InstitutionFacts, NeedFacts
from services.matching.engine.policy import CRITERIA, POLICY_1, Policy
from services.matching.engine.score import Scored, Scorer, recompute
from services.matching.engine.text import TermStatistics
from services.matching.engine.world import Flows, ReferenceWorld
from tests.unit.test_engine_story import (
    CAPABILITIES,
    CHROME,
    CLRI,
    INSTITUTIONS,
    NEEDS,
    ON,
    TWINNING,
    capability,
    need,
    provider,
)

SCORER = Scorer()
ALWAYS = frozenset({"sector", "resources", "language"})


def _values(scored: Scored) -> dict[str, float]:
    return {result.criterion: result.value for result in scored.criteria}


def test_the_leather_story_by_hand() -> None:
    """ETH has no income group on the day and IND no special situation, so context is 0 of 2 groups."""
    scored = SCORER.score(CHROME, TWINNING, CLRI, ON)
    values = _values(scored)
    ethiopia, india = (SCORER.frame.world.blocs(country, ON) for country in ("ETH", "IND"))
    assert {"BRICS", "G77"} <= ethiopia & india
    assert values == {
        "sector": 1.0,
        "text": values["text"],
        "resources": 2 / 3,
        "sdg": 0.5,
        "language": 1.0,
        "region": len(ethiopia & india) / len(ethiopia),
        "context": 0.0,
        "track_record": 0.5,
        "evidence": 0.0,
        "responsiveness": 0.5,
    }
    assert 0.3 < values["text"] < 1.0
    by_hand = sum(POLICY_1.weights[name] / 0.93 * value for name, value in values.items())
    assert scored.score == round(by_hand, 6)
    assert scored.score > 0.6


def test_the_story_says_why_in_words_and_codes() -> None:
    results = {result.criterion: result for result in SCORER.score(CHROME, TWINNING, CLRI, ON).criteria}
    assert results["sector"].codes == ["isic:1511"]
    assert results["sector"].words.startswith("Same class: 1511 Tanning and dressing of leather")
    assert results["resources"].words == "Offers 2 of 3 kinds sought: technical, training; not financial"
    assert results["sdg"].codes == ["sdg:9.4"]
    assert results["sdg"].words == "1 of 2 SDG targets: 9.4"
    assert results["language"].codes == ["lang:en"]
    assert "bloc:BRICS" in results["region"].codes
    assert "concept:chrome_recovery" in results["text"].codes
    assert results["text"].words.startswith("Same concepts: ")
    assert results["track_record"].words == "No completed project yet: counts as a newcomer"


def test_a_pair_in_two_languages_meets_by_concept_and_says_so() -> None:
    seeks = need(
        title="Eaux usées de la tannerie", problem="Récupération du chrome", technologies=(), languages=("fr",)
    )
    offers = capability(
        title="Efluentes de curtume", summary="Reciclagem de cromo", technologies=(), languages=("pt", "fr")
    )
    text = next(r for r in SCORER.score(seeks, offers, CLRI, ON).criteria if r.criterion == "text")
    assert text.value > 0.3
    assert {"concept:chrome_recovery", "concept:tannery_effluent"} <= set(text.codes)


def test_goods_in_common_are_named_by_chapter() -> None:
    goods = next(
        r for r in SCORER.score(need(hs=("4104", "64")), TWINNING, CLRI, ON).criteria if r.criterion == "goods"
    )
    assert (goods.value, goods.codes) == (0.5, ["hs:41"])
    assert goods.words == "1 of 2 HS chapters: 41 Raw hides and leather"
    others = SCORER.score(need(hs=("64",)), TWINNING, CLRI, ON).criteria
    assert next(r.words for r in others if r.criterion == "goods") == "No goods in common"


def test_words_imply_a_sector_where_no_code_is_stated() -> None:
    sector = SCORER.score(need(isic=()), TWINNING, CLRI, ON).criteria[0]
    assert (sector.criterion, sector.value, sector.inputs["implied"]) == ("sector", 0.8, True)
    assert "as the words imply" in sector.words


def test_a_provider_is_found_by_whom_it_serves_too() -> None:
    """Its own code is that of machines; its words say for whom they are."""
    maker = capability(title="Drums and fleshing machines for tanneries", isic=("2826",))
    sector = SCORER.score(CHROME, maker, CLRI, ON).criteria[0]
    assert (sector.value, sector.inputs["capability"], sector.inputs["implied"]) == (0.8, "1511", True)
    assert SCORER.score(need(isic=("2826",)), maker, CLRI, ON).criteria[0].value == 1.0, "what is stated counts in full"


def _subsets() -> list[frozenset[str]]:
    others = sorted(set(CRITERIA) - ALWAYS)
    chosen = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
    return [ALWAYS | frozenset(subset) for subset in chosen]


def test_class_kind_and_language_in_common_are_always_above_the_threshold() -> None:
    """The guarantee, exactly: whichever criteria apply, with 1 of 8 kinds and all other values at 0.

    The least is where all apply, trade included: .25 + .06 + .08 / 8 = .32, above .30; a criterion
    that does not apply only raises the three weights.
    """
    floors = []
    for applicable in _subsets():
        weights = POLICY_1.spread(applicable)
        assert sum(weights.values()) == pytest.approx(1.0, abs=1e-9)
        floors.append(weights["sector"] + weights["language"] + weights["resources"] / 8)
    assert len(floors) == 2**9
    assert min(floors) == pytest.approx(POLICY_1.guaranteed_floor) == pytest.approx(0.32)
    assert min(floors) > POLICY_1.threshold == 0.30


def test_the_poorest_guaranteed_pair_is_above_the_threshold() -> None:
    """A strange text, no goal, no region, no record, trade flows that do not fit: still proposed."""
    flows = Flows(exports={"GUY": {"01": 1.0}}, imports={"ETH": {"99": 1.0}})
    scorer = Scorer(world=ReferenceWorld(flows=flows))
    bad_record = tuple(CompletedProject(date(2026, 11, day), 0.0) for day in range(1, 13))
    poor = provider(country="GUY", completed=bad_record, answered_in_time=0, answerable=10_000)
    kinds = ("technical", "technology", "training", "equipment", "managerial", "financial", "knowledge", "trade")
    seeks = need(resource_kinds=kinds, hs=("0904",), title="alpha", problem="beta", technologies=())
    offers = capability(resource_kinds=("training",), title="z", summary="z", technologies=(), sdg_targets=())
    scored = scorer.score(seeks, offers, poor, ON)
    assert [result.criterion for result in scored.criteria] == list(CRITERIA), "all criteria apply"
    assert POLICY_1.guaranteed_floor <= scored.score < POLICY_1.guaranteed_floor + 0.05
    assert scored.score > POLICY_1.threshold


def test_criteria_that_do_not_apply_are_left_out_and_their_weight_is_spread() -> None:
    bare = need(sdg_targets=(), languages=(), title=".", problem=".", technologies=())
    results = SCORER.score(bare, TWINNING, CLRI, ON).criteria
    assert {"sdg", "language", "text", "trade"}.isdisjoint(result.criterion for result in results)
    assert sum(result.weight for result in results) == pytest.approx(1.0, abs=1e-9)


def test_regional_cooperation_can_be_switched_off() -> None:
    scorer = Scorer(replace(POLICY_1, version=2, regional_cooperation=False))
    scored = scorer.score(CHROME, TWINNING, CLRI, ON)
    assert "region" not in _values(scored)
    assert scored.policy_version == 2


@pytest.mark.parametrize("weights", [{"sector": 1.0}, dict.fromkeys(CRITERIA, 0.2), dict(POLICY_1.weights, text=-0.1)])
def test_a_policy_that_cannot_be_explained_is_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights must"):
        Policy(version=9, weights=weights)


def test_context_looks_at_where_the_provider_has_worked() -> None:
    worked = provider(completed=(CompletedProject(date(2020, 5, 1), 0.8, ("UGA", "BRA")),))
    context = next(r for r in SCORER.score(CHROME, TWINNING, worked, ON).criteria if r.criterion == "context")
    assert context.value == 1.0, "UGA is LDC and LLDC like ETH"
    assert context.codes == ["group:ldc", "group:lldc"]
    assert context.words.startswith("Worked in Uganda: also LDC, LLDC")


def test_an_old_match_is_judged_by_its_own_day_and_snapshot() -> None:
    stored = SCORER.score(CHROME, TWINNING, CLRI, ON).explanation()
    assert stored["as_of"] == "2026-11-24"
    assert recompute(json.loads(json.dumps(stored))) == stored["score"]


@settings(max_examples=150, deadline=None)
@given(NEEDS, CAPABILITIES, INSTITUTIONS, st.integers(0, 50))
def test_recompute_is_equal_bit_for_bit_after_a_round_trip(
    seeks: NeedFacts, offers: CapabilityFacts, by: InstitutionFacts, documents: int
) -> None:
    frequency = {"leater": 3, "tan": 2, "~tanning": 1, "ris": 40}
    scorer = Scorer(POLICY_1, TermStatistics(5, documents, documents / 3, frequency))
    scored = scorer.score(seeks, offers, by, ON)
    stored = scored.explanation()
    assert recompute(json.loads(json.dumps(stored))) == stored["score"] == scored.score
    assert scorer.score(seeks, offers, by, ON) == scored
    assert sum(result.weight for result in scored.criteria) == pytest.approx(1.0, abs=1e-9)
    assert abs(sum(result.contribution for result in scored.criteria) - scored.score) < 1e-6
    assert all(0 <= result.value <= 1 and result.words for result in scored.criteria)


def test_what_a_match_stores_stays_below_two_kilobytes() -> None:
    """The longest need allowed: 5,000 characters of long words, 50 of everything, a long record."""
    words = " ".join(f"wordnumbering{number:04d}" for number in range(300))[:5000]
    targets = tuple(f"{goal}.{target}" for goal in range(1, 11) for target in range(1, 6))
    languages = tuple(f"{a}{b}" for a in "abcde" for b in "fghijklmno")
    record = tuple(CompletedProject(date(2020, 1, day), 0.123456789, ("UGA",)) for day in range(1, 29))
    goods = tuple(f"{chapter:02}" for chapter in range(1, 51))
    seeks = need(title="t" * 200, problem=words, sdg_targets=targets, hs=goods, languages=languages)
    offers = capability(title="t" * 200, summary=words, sdg_targets=targets, hs=goods, languages=languages)
    scorer = Scorer(POLICY_1, TermStatistics(9, 1_000_000, 81.23456789012345, {}))
    scored = scorer.score(seeks, offers, provider(completed=record), ON)
    stored = json.dumps([result.inputs for result in scored.criteria], separators=(",", ":"))
    size = len(stored.encode())
    assert size < 2048, size


@pytest.mark.parametrize("text", ["\x00", "🏭" * 40, "é" * 5000, "…", "\ud800", "制" * 5000])
def test_hostile_texts_do_not_disturb_a_score(text: str) -> None:
    seeks, offers = need(title=text, problem=text), capability(title=text, summary=text, technologies=(text,))
    stored = SCORER.score(seeks, offers, CLRI, ON).explanation()
    assert recompute(json.loads(json.dumps(stored))) == stored["score"]
