"""Rules of institutions, verifications, capabilities, keys, centres and countries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import registry
from services.registry.commands.common import admit, merged
from services.registry.domain import capabilities, centres, countries, institutions, keys, needs, verifications
from services.registry.domain.common import Standing, check_reason
from services.registry.schemas.institutions import InstitutionIn
from services.registry.settings import Settings
from services.registry.similarity import NEAR, fold, similarity
from shared.lifecycle import Invalid, Lifecycle, Refused, Step
from shared.web.auth import Caller
from shared.web.versions import ANY_VERSION, Precondition

TODAY = date(2026, 11, 24)
GOOD = Standing(suspended=False)
OWNER = frozenset({"owner:owner"})


def test_names_are_the_same_without_accents_case_punctuation_and_script() -> None:
    assert fold("Éc. Polytechnique, Fédérale") == "ec polytechnique federale"
    assert fold("የቆዳ").isascii()
    assert fold("★★") != ""


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("Leather Industry Development Institute", "Leather Industries Development Institute", True),
        ("Leather Industry Development Institute", "Institute, Leather Industry Development", True),
        ("Leather Industry Development Institute", "LEATHER INDUSTRY DEVELOPMENT INSTITUTE.", True),
        ("Leather Industry Development Institute", "Textile Industry Development Institute", False),
        ("Central Leather Research Institute", "Central Food Research Institute", False),
    ],
)
def test_near_duplicates_are_those_of_nine_tenths_and_more(one: str, other: str, near: bool) -> None:
    assert (similarity([fold(one)], [fold(other)]) >= NEAR) is near


@given(st.text(min_size=1))
def test_every_name_is_like_itself(name: str) -> None:
    assert similarity([fold(name)], [fold(name)]) == 1.0


def test_only_multilaterals_and_banks_have_no_country() -> None:
    institutions.check_country("multilateral", None)
    institutions.check_country("financial_institution", None)
    with pytest.raises(Invalid):
        institutions.check_country("firm", None)
    assert institutions.south_on(None, TODAY, lambda _country, _day: True) is None


@pytest.mark.parametrize(
    ("before", "until", "after"),
    [
        ("verified", date(2026, 11, 25), "verified"),
        ("verified", TODAY, "registered"),
        ("verified", None, "registered"),
        ("registered", None, "registered"),
    ],
)
def test_reinstating_gives_back_the_status_before_unless_the_verification_ended(
    before: str, until: date | None, after: str
) -> None:
    assert institutions.status_when_reinstated(before, until, TODAY) == after


def test_another_name_country_or_external_id_is_another_identity() -> None:
    was = {"name": "A", "country": "ETH", "external_ids": [], "website": None}
    assert not institutions.changes_identity(was, was | {"website": "https://a.example"})
    for change in ({"name": "B"}, {"country": "KEN"}, {"external_ids": [{"scheme": "X", "value": "1"}]}):
        assert institutions.changes_identity(was, was | change)


def test_a_verification_lasts_to_the_same_day_in_five_years() -> None:
    assert institutions.verified_until(TODAY) == date(2031, 11, 24)


def answers(**given: bool) -> dict[str, dict[str, object]]:
    return {q: {"answer": given.get(q, True), "comment": ""} for q in ("registration_evidence", "mandate_consistent")}


def test_one_no_keeps_an_institution_from_being_verified() -> None:
    staff = frozenset({"verifier"})
    verifications.LIFECYCLE.check("approve", "submitted", verifications.facts_of(answers(), "registered"), staff)
    no = verifications.facts_of(answers(mandate_consistent=False), "registered")
    with pytest.raises(Refused) as refused:
        verifications.LIFECYCLE.check("approve", "submitted", no, staff)
    assert refused.value.code == "due_diligence_not_met"
    assert verifications.LIFECYCLE.actions("submitted", no, staff) == ["reject"]


def test_four_eyes_and_one_open_question() -> None:
    verifications.check_four_eyes("key:a", "key:b")
    with pytest.raises(Refused) as refused:
        verifications.check_four_eyes("key:a", "key:a")
    assert refused.value.code == "four_eyes_required"
    verifications.check_none_open(has_open=False)
    with pytest.raises(Refused) as refused:
        verifications.check_none_open(has_open=True)
    assert refused.value.code == "invalid_transition"


def test_the_renewal_day_itself_still_counts() -> None:
    capabilities.check_renewal(TODAY, TODAY)
    assert not capabilities.is_over(TODAY, TODAY)
    assert capabilities.is_over(date(2026, 11, 23), TODAY)
    with pytest.raises(Invalid):
        capabilities.check_renewal(date(2026, 11, 23), TODAY)


def test_renewing_tells_of_an_update_or_of_a_new_offer() -> None:
    renew = capabilities.LIFECYCLE.check("renew", "published", GOOD, OWNER)
    again = capabilities.LIFECYCLE.check("renew", "expired", GOOD, OWNER)
    assert (renew.event, again.event) == ("CapabilityUpdated", "CapabilityPublished")
    assert capabilities.LIFECYCLE.actions("published", GOOD, OWNER) == ["withdraw", "renew"]
    assert capabilities.LIFECYCLE.actions("withdrawn", GOOD, OWNER) == []
    assert capabilities.LIFECYCLE.actions("expired", Standing(suspended=True), OWNER) == []


def test_an_offer_for_nobody_is_refused() -> None:
    capabilities.check_serves(all_south=False, named=True)
    with pytest.raises(Invalid):
        capabilities.check_serves(all_south=False, named=False)


def test_the_reason_other_needs_words() -> None:
    check_reason("duplicate", None)
    check_reason("other", "Moved abroad")
    for empty in (None, ""):
        with pytest.raises(Invalid) as refused:
            check_reason("other", empty)
        assert refused.value.members["errors"][0]["pointer"] == "/text"


def test_a_key_that_may_not_sign_makes_none_that_may() -> None:
    assert keys.may_sign(None, default=True, maker_may=True)
    assert not keys.may_sign(None, default=False, maker_may=True)
    assert not keys.may_sign(None, default=True, maker_may=False)
    assert not keys.may_sign(False, default=True, maker_may=True)
    assert keys.may_sign(True, default=False, maker_may=True)
    with pytest.raises(Refused) as refused:
        keys.may_sign(True, default=True, maker_may=False)
    assert refused.value.code == "forbidden"


def test_a_key_is_good_until_its_last_day_or_its_revocation() -> None:
    assert keys.is_good("active", None, TODAY)
    assert keys.is_good("active", TODAY, TODAY)
    assert not keys.is_good("active", date(2026, 11, 23), TODAY)
    assert not keys.is_good("revoked", None, TODAY)


def test_keys_sign_by_default_in_embedded_mode_only() -> None:
    assert Settings(embedded=True).keys_sign_by_default
    assert not Settings(embedded=False).keys_sign_by_default
    assert not Settings(embedded=True, can_sign_default=False).keys_sign_by_default


@pytest.mark.parametrize(
    ("current", "target", "allowed"),
    [
        ("to_be_established", "operating", True),
        ("operating", "suspended", True),
        ("suspended", "operating", True),
        ("operating", "handed_over", True),
        ("envisioned", "operating", False),
        ("under_negotiation", "suspended", False),
        ("closed", "operating", False),
    ],
)
def test_a_centre_goes_step_by_step(current: str, target: str, allowed: bool) -> None:
    if allowed:
        centres.check_step(current, target)
        return
    with pytest.raises(Refused) as refused:
        centres.check_step(current, target)
    assert refused.value.code == "invalid_transition"


@pytest.mark.parametrize(
    ("since", "previous", "good"),
    [
        ("2008-05", "2006-09-11", True),
        ("2006", "2006-09-11", True),
        ("2006-08", "2006-09-11", False),
        ("2026-11-24", None, True),
        ("2026-11-25", None, False),
        ("2027", None, False),
    ],
)
def test_a_step_is_neither_in_the_future_nor_before_the_last(since: str, previous: str | None, good: bool) -> None:
    if good:
        centres.check_since(since, previous, TODAY)
        return
    with pytest.raises(Invalid):
        centres.check_since(since, previous, TODAY)


def test_only_a_scheduled_change_can_be_confirmed() -> None:
    countries.check_scheduled("BGD", "ldc")
    for code, group in (("BGD", "sids"), ("ETH", "ldc")):
        with pytest.raises(Refused) as refused:
            countries.check_scheduled(code, group)
        assert refused.value.code == "invalid_transition"


PRESENT = {"name": "A", "type": "firm", "country": "ETH", "contact": {"name": "N", "email": None, "phone": "1"}}


def test_a_merge_patch_goes_into_objects_replaces_lists_and_removes_by_null() -> None:
    after = merged(InstitutionIn, PRESENT, {"languages": ["fr"], "contact": {"phone": None, "email": "a@b.example"}})
    assert after.languages == ["fr"]
    assert after.contact is not None
    assert after.contact.model_dump() == {"name": "N", "email": "a@b.example", "phone": None}
    assert merged(InstitutionIn, PRESENT, {"contact": None}).contact is None


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"status": "verified"}, "/status"),
        ({"contact": {"email": "x"}}, "/contact/email"),
        ({"websitte": None}, "/websitte"),
        ({"websitte": {"url": None}}, "/websitte"),
        ({"contact": {"fone": None}}, "/contact/fone"),
    ],
)
def test_a_patched_whole_is_checked_as_a_whole(patch: dict[str, object], pointer: str) -> None:
    with pytest.raises(Refused) as refused:
        merged(InstitutionIn, PRESENT, patch)
    assert refused.value.code == "validation_failed"
    assert refused.value.members["errors"][0]["pointer"] == pointer


def test_the_readme_shows_the_state_tables_as_they_are() -> None:
    readme = (Path(registry.__file__).parent / "README.md").read_text()
    tables = (institutions, verifications, capabilities, needs, keys)
    for diagram in (*(table.LIFECYCLE.mermaid() for table in tables), centres.mermaid()):
        assert diagram in readme


SIGNING = Lifecycle[None]("paper", (Step("sign", frozenset({"open"}), "signed", OWNER, "", signs=True),))


@dataclass
class Paper:
    version: int = 2
    status: str = "open"


@pytest.mark.parametrize(
    ("hats", "can_sign", "if_match", "status", "code"),
    [
        (frozenset({"owner:reader"}), True, Precondition(None, sent=False), "signed", "forbidden"),
        (OWNER, False, Precondition(None, sent=False), "signed", "forbidden"),
        (OWNER, True, Precondition(None, sent=False), "signed", "precondition_required"),
        (OWNER, True, Precondition(frozenset({1}), sent=True), "signed", "version_mismatch"),
        (OWNER, True, ANY_VERSION, "signed", "invalid_transition"),
        (OWNER, True, Precondition(frozenset({2}), sent=True), "open", None),
    ],
)
def test_a_step_is_refused_for_the_person_then_the_version_then_the_state(
    hats: frozenset[str], can_sign: bool, if_match: Precondition, status: str, code: str | None
) -> None:
    caller = Caller(sub="key:1", institution_id=None, roles=frozenset({"owner"}), can_sign=can_sign)

    def step() -> Step[None]:
        return admit(SIGNING, "sign", Paper(status=status), None, hats, caller, if_match)

    if code is None:
        assert step().target == "signed"
        return
    with pytest.raises(Refused) as refused:
        step()
    assert refused.value.code == code
