"""Who can bring what an accepted pair leaves uncovered."""

from datetime import date

import pytest

from services.matching.engine.facilitators import rank_facilitators, uncovered
from services.matching.engine.index import Index
from services.matching.engine.model import CapabilityFacts, CompletedProject, InstitutionFacts
from services.matching.engine.score import Scorer
from tests.unit.test_engine_story import CHROME, CLRI, LIDI, ON, TWINNING, capability, need, provider

GIZ = InstitutionFacts("giz", "DEU", "agency", "verified", ("de", "en"))
BANK = InstitutionFacts("bank", None, "multilateral", "verified", ("en",))
FIRM = InstitutionFacts("firm", "DEU", "firm", "verified", ("en",))


def _index(*facts: InstitutionFacts | CapabilityFacts) -> Index:
    index = Index(Scorer())
    for fact in (LIDI, CLRI, TWINNING, *facts):
        if isinstance(fact, InstitutionFacts):
            index.put_institution(fact)
        else:
            index.put_capability(fact)
    return index


def test_what_the_leather_pair_leaves_uncovered_is_money() -> None:
    assert uncovered(CHROME, TWINNING) == {"financial"}
    assert uncovered(need(budget_gap=False, resource_kinds=("training",)), TWINNING) == frozenset()
    assert uncovered(need(resource_kinds=("financial",)), capability(resource_kinds=("financial",))) == {"financial"}


def test_the_north_and_multilaterals_may_facilitate() -> None:
    ranked = rank_facilitators(_index(GIZ, BANK, FIRM), CHROME, "twinning", ON)
    assert [f.institution_id for f in ranked] == ["bank", "giz"], "a firm that offers nothing covers nothing"
    assert all(f.covers == ("financial",) for f in ranked)
    assert ranked[0].reasons[:2] == ("Can bring 1 of 1 kinds not covered: financial", "Shares a working language")


def test_the_score_by_hand() -> None:
    """Hand: covers .5 * 1 + sector 0 + language .1 + newcomer .15 * .5 + responsiveness .1 * .5."""
    assert rank_facilitators(_index(BANK), CHROME, "twinning", ON)[0].score == pytest.approx(0.725)


def test_a_published_capability_covers_its_kinds_whomever_it_serves() -> None:
    offer = capability(id="f1", institution_id="firm", resource_kinds=("financial", "equipment"), isic=("1511",))
    ranked = rank_facilitators(_index(FIRM, BANK, offer), CHROME, "twinning", ON)
    assert [f.institution_id for f in ranked] == ["firm", "bank"], "the firm knows the sector"
    draft = capability(id="f1", institution_id="firm", resource_kinds=("financial",), status="draft")
    assert rank_facilitators(_index(FIRM, draft), CHROME, "twinning", ON) == []
    overdue = capability(id="f1", institution_id="firm", resource_kinds=("financial",), renew_by=date(2026, 11, 23))
    assert rank_facilitators(_index(FIRM, overdue), CHROME, "twinning", ON) == []


def test_principals_and_those_in_bad_standing_are_left_out() -> None:
    suspended = InstitutionFacts("s", None, "multilateral", "suspended", ("en",))
    registered = InstitutionFacts("r", None, "multilateral", "registered", ("en",))
    bank_as_provider = provider(type="agency")
    assert rank_facilitators(_index(suspended, registered, bank_as_provider), CHROME, "twinning", ON) == []


def test_a_good_record_ranks_higher_and_says_so() -> None:
    seasoned = InstitutionFacts(
        "zbank", None, "multilateral", "verified", ("en",), (CompletedProject(date(2026, 1, 1), 1.0),), 0, 0, 9, 9
    )
    ranked = rank_facilitators(_index(BANK, seasoned), CHROME, "twinning", ON)
    assert [f.institution_id for f in ranked] == ["zbank", "bank"]
    assert "Completed projects: 1" in ranked[0].reasons
    assert "Answered 9 of 9 proposals in time" in ranked[0].reasons
    assert len(rank_facilitators(_index(BANK, seasoned), CHROME, "twinning", ON, limit=1)) == 1


def test_nothing_uncovered_needs_nobody_and_an_unknown_capability_is_an_error() -> None:
    covered = need(budget_gap=False, resource_kinds=("training",))
    assert rank_facilitators(_index(BANK), covered, "twinning", ON) == []
    with pytest.raises(KeyError):
        rank_facilitators(_index(BANK), CHROME, "unknown", ON)
