"""Of all open needs, those that a capability can serve well enough are found, wherever settled rows end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine import seekers as seekers_module
from services.matching.engine.index import Index
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts
from services.matching.engine.policy import POLICY_1
from services.matching.engine.score import Scorer
from services.matching.engine.seekers import Seekers
from services.matching.engine.takers import Takers
from services.matching.engine.world import ReferenceWorld
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

FACTS = st.lists(st.one_of(CAPABILITIES, INSTITUTIONS), max_size=20)
SOUGHT = st.lists(NEEDS, max_size=8)


def _index(facts: Sequence[CapabilityFacts | InstitutionFacts]) -> Index:
    world = ReferenceWorld(flows=FLOWS)
    index = Index(Scorer(world=world))
    for fact in facts:
        if isinstance(fact, InstitutionFacts):
            index.put_institution(fact)
        else:
            index.put_capability(fact)
    index.use(Scorer(POLICY_1, index.statistics(1), world=world))
    return index


def _seekers(index: Index, needs: Sequence[NeedFacts], cutoff: float = 0.3) -> Seekers:
    seekers = Seekers(index.scorer, ON)
    for seeks in needs:
        seekers.put(index.scorer.prepare(seeks, ON), cutoff)
    return seekers


def _takers(index: Index, seekers: Seekers, capability_id: str) -> list[str]:
    slot = index.store.slot(capability_id)
    assert slot is not None
    return Takers(seekers).of(index.store.offer(slot))


@SLOW
@given(FACTS, SOUGHT, st.sampled_from([0.0, 0.3, 0.45, 0.6]), st.floats(0, 1))
def test_no_need_is_missed_that_the_capability_serves_well_enough(
    facts: Sequence[CapabilityFacts | InstitutionFacts], sought: Sequence[NeedFacts], cutoff: float, settled: float
) -> None:
    index, line = _index(facts), round(settled * len(sought))
    sought = [replace(seeks, version=version) for version, seeks in enumerate(sought, start=1)]
    seekers = _seekers(index, sought[:line], cutoff)
    seekers.settle()
    for seeks in sought[line:]:
        seekers.put(index.scorer.prepare(seeks, ON), cutoff)
    latest = {seeks.id: seeks for seeks in sought}
    for capability_id in index.ids():
        ranked = index.needs_for(capability_id, latest.values(), ON)
        served = {one.need.id for one in ranked if one.scored.score >= cutoff}
        found = _takers(index, seekers, capability_id)
        assert served <= set(found)
        assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("offer", "by"),
    [
        (replace(TWINNING, resource_kinds=("equipment",)), CLRI),
        (replace(TWINNING, status="withdrawn"), CLRI),
        (replace(TWINNING, engaged=TWINNING.capacity), CLRI),
        (replace(TWINNING, institution_id=LIDI.id), LIDI),
        (replace(TWINNING, serves=replace(TWINNING.serves, all_south=False, countries=("BRA",), blocs=())), CLRI),
        (TWINNING, replace(CLRI, status="suspended")),
        (TWINNING, replace(CLRI, country="ETH")),
    ],
)
def test_whom_a_rule_excludes_takes_nothing(offer: CapabilityFacts, by: InstitutionFacts) -> None:
    index = _index([LIDI, by, offer])
    assert _takers(index, _seekers(index, [CHROME]), "twinning") == []


def test_a_need_that_has_better_offers_is_left_alone() -> None:
    index = _index([LIDI, CLRI, TWINNING])
    score = index.score(CHROME, "twinning", ON).score
    assert _takers(index, _seekers(index, [CHROME], cutoff=score), "twinning") == ["chrome"]
    assert _takers(index, _seekers(index, [CHROME], cutoff=score + 0.01), "twinning") == []


def test_changed_and_forgotten_needs_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seekers_module, "FEW_ROWS", 4)
    index = _index([LIDI, CLRI, TWINNING])
    seekers = _seekers(index, [CHROME, need(id="other")])
    for version in range(2, 9):
        seekers.put(index.scorer.prepare(replace(CHROME, version=version), ON), 0.3)
    seekers.remove("other")
    seekers.remove("unknown")
    assert seekers.worn
    assert _takers(index, seekers, "twinning") == ["chrome"]
    seekers.settle()
    assert (seekers.worn, seekers.fingerprint()) == (False, (1, 8, 300_000))
    assert _takers(index, seekers, "twinning") == ["chrome"]
    seekers.put(index.scorer.prepare(replace(CHROME, version=8), ON), 0.99)
    assert _takers(index, seekers, "twinning") == [], "only its cutoff changed"


def test_takers_learn_of_countries_that_come_later() -> None:
    index = _index([LIDI, CLRI, TWINNING, provider(id="i9", country="BRA"), capability(id="c9", institution_id="i9")])
    seekers = _seekers(index, [CHROME])
    takers = Takers(seekers)
    slot = index.store.slot("c9")
    assert slot is not None
    assert takers.of(index.store.offer(slot)) == ["chrome"]
    seekers.put(index.scorer.prepare(need(id="later", country="KEN"), ON), 0.3)
    assert takers.of(index.store.offer(slot)) == ["chrome", "later"]
