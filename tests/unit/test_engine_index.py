"""The index equals scoring every pair, in any order of arrival, and says why somebody is missing."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine import postings
from services.matching.engine import search as search_module
from services.matching.engine import store as store_module
from services.matching.engine.eligibility import Pair, eligible
from services.matching.engine.index import Index
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts, unknown_institution
from services.matching.engine.policy import POLICY_1
from services.matching.engine.priority import priority
from services.matching.engine.score import Scored, Scorer
from services.matching.engine.world import Flows, ReferenceWorld
from tests.unit.test_engine_story import (
    CAPABILITIES,
    CHROME,
    CLRI,
    FLOWS,
    INSTITUTIONS,
    LIDI,
    NEEDS,
    ON,
    SLOW,
    TWINNING,
    capability,
    need,
    provider,
)

FACTS = st.lists(st.one_of(CAPABILITIES, INSTITUTIONS), max_size=40)
Facts = Sequence[CapabilityFacts | InstitutionFacts]


def _index(facts: Iterable[CapabilityFacts | InstitutionFacts], flows: Flows | None = None) -> Index:
    world = ReferenceWorld(flows=flows or Flows())
    index = Index(Scorer(world=world))
    for fact in facts:
        _put(index, fact)
    index.use(Scorer(POLICY_1, index.statistics(1), world=world))
    return index


def _put(index: Index, fact: CapabilityFacts | InstitutionFacts) -> None:
    if isinstance(fact, InstitutionFacts):
        index.put_institution(fact)
    else:
        index.put_capability(fact)


def _story() -> Index:
    return _index([LIDI, CLRI, TWINNING])


def _brute_force(facts: Facts, index: Index, seeks: NeedFacts, quiet: frozenset[str]) -> list[Scored]:
    """Every pair one by one, from the facts themselves: no index, no columns."""
    capabilities = {fact.id: fact for fact in facts if isinstance(fact, CapabilityFacts)}
    institutions = {fact.id: fact for fact in facts if isinstance(fact, InstitutionFacts)}
    scored = []
    for offer in capabilities.values():
        by = institutions.get(offer.institution_id) or unknown_institution(offer.institution_id)
        if eligible(Pair(seeks, offer, by, ON, index.scorer.frame.world, quiet)):
            scored.append(index.scorer.score(seeks, offer, by, ON))
    return sorted(scored, key=lambda s: (-s.score, s.capability_id))


@SLOW
@given(
    FACTS,
    NEEDS,
    st.integers(0, 12),
    st.sampled_from([0.0, 0.3, 0.5]),
    st.sets(st.sampled_from(["c1", "c2"])),
    st.floats(0, 1),
)
def test_ranking_equals_scoring_every_pair(
    facts: Facts, seeks: NeedFacts, k: int, threshold: float, quiet: set[str], settled: float
) -> None:
    """Wherever the line between settled and later rows is."""
    line = round(settled * len(facts))
    index = _index(facts[:line], FLOWS)
    if line:
        index.settle()
    for fact in facts[line:]:
        _put(index, fact)
    expected = [s for s in _brute_force(facts, index, seeks, frozenset(quiet)) if s.score >= threshold][:k]
    assert index.rank(seeks, ON, k, quiet, threshold) == expected


@SLOW
@given(FACTS, NEEDS, st.integers(1, 6), st.integers(1, 3))
def test_ranking_equals_scoring_every_pair_however_few_rows_a_step_takes(
    facts: Facts, seeks: NeedFacts, k: int, step: int
) -> None:
    """As with many rows: bounds decide what is read first, what later and what never."""
    index = _index(facts, FLOWS)
    index.settle()
    expected = _brute_force(facts, index, seeks, frozenset())[:k]
    with pytest.MonkeyPatch.context() as patched:
        for name in ("FIRST_ROWS", "STEP_ROWS", "MOST_ROWS"):
            patched.setattr(search_module, name, step)
        assert index.rank(seeks, ON, k, threshold=0.0) == expected


@SLOW
@given(FACTS, NEEDS, st.booleans())
def test_whoever_is_missed_would_rank_but_for_the_reasons_given(facts: Facts, seeks: NeedFacts, settle: bool) -> None:
    index = _index(facts, FLOWS)
    if settle:
        index.settle()
    excluded = dict(index.excluded(seeks, ON))
    missed = index.missed(seeks, ON, k=100)
    assert {scored.capability_id: codes for scored, codes in missed} == {
        c: codes for c, codes in excluded.items() if index.score(seeks, c, ON).score >= POLICY_1.threshold
    }
    assert [s.score for s, _ in missed] == sorted((s.score for s, _ in missed), reverse=True)


@SLOW
@given(FACTS, NEEDS)
def test_candidates_are_exactly_those_that_no_rule_excludes(facts: Facts, seeks: NeedFacts) -> None:
    index = _index(facts)
    excluded = dict(index.excluded(seeks, ON))
    assert set(index.candidates(seeks, ON)) == set(index.ids()) - set(excluded)
    assert all(excluded.values())


@SLOW
@given(FACTS, NEEDS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(facts: Facts, seeks: NeedFacts, shuffle: random.Random) -> None:
    latest = list({(type(fact), fact.id): fact for fact in facts}.values())
    shuffled = latest.copy()
    shuffle.shuffle(shuffled)
    one, other = _index(latest), _index(shuffled)
    assert one.rank(seeks, ON) == other.rank(seeks, ON)
    assert one.fingerprint() == other.fingerprint()


@SLOW
@given(FACTS, NEEDS, CAPABILITIES)
def test_one_more_capability_never_changes_the_score_of_another(
    facts: Facts, seeks: NeedFacts, more: CapabilityFacts
) -> None:
    index = _index(facts)
    before = {scored.capability_id: scored for scored in index.rank(seeks, ON, 100, threshold=0.0)}
    index.put_capability(replace(more, id="one-more"))
    after = {scored.capability_id: scored for scored in index.rank(seeks, ON, 100, threshold=0.0)}
    after.pop("one-more", None)
    assert after == before


@SLOW
@given(FACTS, NEEDS)
def test_updates_and_removals_leave_no_trace(facts: Facts, seeks: NeedFacts) -> None:
    index = _index(facts)
    before = index.rank(seeks, ON, 100, threshold=0.0)
    index.put_capability(capability(id="passing", institution_id="i1"))
    index.put_capability(capability(id="passing", institution_id="i2", version=2))
    index.remove_capability("passing")
    index.remove_capability("passing")
    assert index.rank(seeks, ON, 100, threshold=0.0) == before


def test_a_hard_rule_cannot_be_outscored() -> None:
    """A suspended provider whose text is the need's own words, against a modest one in good standing."""
    index = _story()
    index.put_institution(provider(id="loud", status="suspended"))
    index.put_institution(provider(id="calm", country="BRA"))
    copied = capability(id="a", institution_id="loud", title=CHROME.title, summary=CHROME.problem)
    index.put_capability(replace(copied, resource_kinds=CHROME.resource_kinds, sdg_targets=CHROME.sdg_targets))
    index.put_capability(capability(id="b", institution_id="calm", title="z", summary="z", technologies=()))
    assert [scored.capability_id for scored in index.rank(CHROME, ON)] == ["twinning", "b"]
    assert index.score(CHROME, "a", ON).score > index.score(CHROME, "twinning", ON).score
    assert dict(index.excluded(CHROME, ON)) == {"a": ["provider_suspended"]}


def test_the_same_score_is_ordered_by_id() -> None:
    index = _index([LIDI, CLRI, *(capability(id=name) for name in ("c", "a", "b", "d"))])
    assert [scored.capability_id for scored in index.rank(CHROME, ON, k=3)] == ["a", "b", "c"]


def test_the_index_follows_events_in_any_order() -> None:
    index = _index([TWINNING])
    assert index.rank(CHROME, ON) == []
    assert index.reasons(CHROME, "twinning", ON) == ["provider_not_verified", "multilateral_only_facilitating"]
    index.put_institution(provider(status="registered"))
    assert index.reasons(CHROME, "twinning", ON) == ["provider_not_verified"]
    index.put_institution(CLRI)
    assert len(index.rank(CHROME, ON)) == 1
    index.set_engaged("twinning", 2)
    assert index.reasons(CHROME, "twinning", ON) == ["no_free_capacity"]
    index.set_engaged("twinning", 1)
    index.set_engaged("unknown", 1)
    assert len(index.rank(CHROME, ON)) == 1
    assert index.rank(CHROME, ON, quiet={"twinning", "unknown"}) == []
    index.put_capability(capability(version=2, status="withdrawn"))
    assert index.reasons(CHROME, "twinning", ON) == ["not_published"]
    assert index.fingerprint() == (1, 2)


def test_an_unknown_capability_is_named_as_such() -> None:
    with pytest.raises(KeyError):
        _story().reasons(CHROME, "unknown", ON)
    assert dict(_story().excluded(CHROME, ON, ids=["unknown"])) == {}


def test_settling_a_worn_store_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FEW_ROWS", 8)
    index = _story()
    expected = index.rank(CHROME, ON)
    for version in range(2, 40):
        index.put_capability(capability(id="other", version=version, isic=("0116",)))
    assert index.worn
    index.settle()
    assert not index.worn
    assert (len(index.store.rows), len(index)) == (2, 2)
    assert index.rank(CHROME, ON)[:1] == expected
    assert index.fingerprint() == (2, 40)


def test_other_constants_of_the_text_criterion_are_heeded_by_settled_rows() -> None:
    index = _story()
    index.settle()
    loud = replace(POLICY_1, bm25_k1=0.2, bm25_b=0.0)
    index.use(Scorer(loud, index.scorer.frame.statistics))
    expected = index.scorer.score(CHROME, TWINNING, CLRI, ON)
    assert index.rank(CHROME, ON) == [expected]


def test_an_empty_index_answers() -> None:
    index = _index([])
    assert index.rank(CHROME, ON) == []
    assert index.candidates(CHROME, ON) == []
    assert index.statistics(3).documents == 0


def test_another_lexicon_needs_another_index() -> None:
    with pytest.raises(ValueError, match="lexicon"):
        _story().use(Scorer(lexicon=replace(Scorer().lexicon)))


def test_priority_is_urgency_times_status() -> None:
    world = ReferenceWorld()

    def of(country: str, urgency: str) -> float:
        return priority(need(country=country, urgency=urgency), ON, POLICY_1, world)

    assert of("IND", "medium") == 1.0
    assert of("ETH", "medium") == 1.5, "LDC outweighs LLDC"
    assert of("ETH", "critical") == 2.25
    assert of("GUY", "low") == pytest.approx(0.75 * 1.2), "SIDS"
    assert of("BRA", "high") == 1.25


def test_the_emphasis_on_ldcs_moves_order_by_the_stated_factor_only() -> None:
    index = _index([LIDI, CLRI, TWINNING])
    ldc = need(id="n-ldc", country="ETH", resource_kinds=("training", "financial", "equipment"))
    other = need(id="n-other", country="KEN", resource_kinds=("training",))
    ranked = {r.need.id: r for r in index.needs_for("twinning", [other, ldc], ON)}
    assert ranked["n-other"].scored.score > ranked["n-ldc"].scored.score
    assert [r.need.id for r in index.needs_for("twinning", [other, ldc], ON)] == ["n-ldc", "n-other"]
    assert ranked["n-ldc"].weight == ranked["n-ldc"].scored.score * (1.25 * 1.5)
    assert ranked["n-other"].weight == ranked["n-other"].scored.score * 1.25
    level = replace(POLICY_1, status_weights={})
    index.use(Scorer(level, index.scorer.frame.statistics))
    flat = index.needs_for("twinning", [other, ldc], ON)
    assert [r.need.id for r in flat] == ["n-other", "n-ldc"]
    assert flat[0].scored == ranked["n-other"].scored, "the factor never enters a score"


def test_needs_for_leaves_out_quiet_and_excluded_needs() -> None:
    index = _story()
    domestic = need(id="home", country="IND")
    assert [r.need.id for r in index.needs_for("twinning", [CHROME, domestic], ON)] == ["chrome"]
    assert index.needs_for("twinning", [CHROME], ON, quiet={"chrome"}) == []
    assert index.needs_for("unknown", [CHROME], ON) == []
    assert index.needs_for("twinning", [CHROME, need(id="more")], ON, k=1)[0].need.id == "chrome"


@SLOW
@given(FACTS, st.lists(NEEDS, max_size=5, unique_by=lambda n: n.id))
def test_both_directions_agree_on_eligibility_and_score(facts: Facts, needs: list[NeedFacts]) -> None:
    index = _index(facts)
    for capability_id in index.ids()[:3]:
        for ranked in index.needs_for(capability_id, needs, ON):
            assert ranked.scored in index.rank(ranked.need, ON, k=100)


def test_terms_are_put_in_order_and_equal_ones_stay_as_they_stand() -> None:
    draw = np.random.default_rng(1)
    for most in (1, 300, 1 << 16, 1 << 22):
        terms = draw.integers(0, most, 5_000, dtype=np.int32)
        assert np.array_equal(postings._in_order(terms), np.argsort(terms, kind="stable"))
