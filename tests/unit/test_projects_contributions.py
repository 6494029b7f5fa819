"""The ledger: exact, never more delivered than promised, and only confirmed deliveries count."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projects.domain import contributions as ledger
from shared.lifecycle import Invalid, NotNow, Refused


@dataclass
class Part:
    quantity: Decimal | None = None
    amount: Decimal | None = None
    status: str = "delivered"
    id: UUID = field(default_factory=uuid4)


@dataclass
class Promise:
    status: str = "committed"
    kind: str = "in_kind"
    unit: str | None = "expert_day"
    quantity: Decimal | None = Decimal(120)
    amount: Decimal | None = Decimal("48000.00")
    currency: str | None = "USD"


def cash(amount: str, currency: str = "USD", status: str = "committed") -> Promise:
    return Promise(status, "cash", None, None, Decimal(amount), currency)


def test_nothing_named_means_all_that_remains() -> None:
    parts = [Part(Decimal(40)), Part(Decimal(30), status="disputed")]
    assert ledger.part_to_deliver(Promise(), parts, None, None) == Decimal(80)
    assert ledger.part_to_deliver(Promise(), parts, Decimal("2.5"), None) == Decimal("2.5")


@pytest.mark.parametrize(("quantity", "amount"), [(Decimal(81), None), (None, Decimal(1))])
def test_more_than_remains_and_the_wrong_kind_are_refused(quantity: Decimal | None, amount: Decimal | None) -> None:
    with pytest.raises(Invalid):
        ledger.part_to_deliver(Promise(), [Part(Decimal(40))], quantity, amount)


def test_a_contribution_has_a_bounded_number_of_parts() -> None:
    with pytest.raises(Invalid):
        ledger.part_to_deliver(Promise(), [Part(Decimal("0.1"))] * ledger.MAX_DELIVERIES, None, None)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["delivered"], "committed"),
        (["delivered", "delivered"], "delivered"),
        (["confirmed", "delivered"], "delivered"),
        (["confirmed", "confirmed"], "confirmed"),
        (["confirmed", "disputed"], "committed"),
        (["confirmed", "disputed", "confirmed"], "confirmed"),
    ],
)
def test_status_follows_from_the_deliveries(statuses: list[str], expected: str) -> None:
    parts = [Part(Decimal(60), status=status) for status in statuses]
    assert ledger.status_after(Promise(), parts) == expected


def says(refused: Refused) -> tuple[str, list[str]]:
    """Where it stands and what is possible."""
    return refused.members["current_status"], refused.members["allowed"]


def test_confirming() -> None:
    waiting, disputed, confirmed = Part(Decimal(60)), Part(Decimal(60), status="disputed"), Part(status="confirmed")
    parts = [waiting, disputed, confirmed]
    assert ledger.to_confirm(Promise(), parts, None) == [waiting]
    assert ledger.to_confirm(Promise(), parts, disputed.id) == [disputed]
    for wanted, standing in ((confirmed.id, ("confirmed", [])), (None, ("disputed", ["confirm"]))):
        with pytest.raises(NotNow) as refused:
            ledger.to_confirm(Promise(), [disputed, confirmed], wanted)
        assert says(refused.value) == standing
    with pytest.raises(Invalid):
        ledger.to_confirm(Promise(), parts, uuid4())


def test_a_disputed_part_that_was_delivered_again_cannot_be_confirmed() -> None:
    disputed, again = Part(Decimal(60), status="disputed"), Part(Decimal(61), status="confirmed")
    for wanted, standing in ((disputed.id, ("disputed", [])), (None, ("committed", []))):
        with pytest.raises(NotNow) as refused:
            ledger.to_confirm(Promise(), [disputed, again], wanted)
        assert says(refused.value) == standing


def test_only_what_waits_can_be_disputed() -> None:
    waiting, confirmed = Part(Decimal(1)), Part(Decimal(1), status="confirmed")
    disputed, large = Part(Decimal(1), status="disputed"), Part(Decimal(119), status="disputed")
    parts = [waiting, confirmed, disputed, large]
    assert ledger.to_dispute(Promise(), parts, waiting.id) is waiting
    for part, allowed in ((confirmed, []), (disputed, ["confirm"]), (large, [])):
        with pytest.raises(NotNow) as refused:
            ledger.to_dispute(Promise(), parts, part.id)
        assert says(refused.value) == (part.status, allowed)


def test_totals_of_two_countries_add_up_and_currencies_stay_apart() -> None:
    # phase III of FAO, China and Uganda: the beneficiary pays 80.1 %
    uganda, china = cash("9623703"), cash("2389138", status="pledged")
    found = ledger.totals([(uganda, [Part(amount=Decimal(9623703), status="confirmed")]), (china, [])]).cash
    assert found["USD"] == ledger.Figures(Decimal(12012841), Decimal(9623703), Decimal(9623703), Decimal(9623703))
    both = ledger.totals([(cash("1.10"), []), (cash("7", "JPY"), []), (Promise(), [])])
    assert list(both.cash) == ["JPY", "USD"]
    assert list(both.in_kind) == ["expert_day"]


def test_the_currency_of_a_value_in_kind_has_its_row_of_cash_without_counting_as_cash() -> None:
    found = ledger.totals([(Promise(currency="USD"), [])])
    assert found.cash == {"USD": ledger.Figures()}


amounts = st.decimals("0.01", "1000", places=2)


@given(st.lists(st.tuples(amounts, st.sampled_from(["delivered", "confirmed", "disputed"])), max_size=30))
def test_whatever_is_delivered_and_disputed_the_total_never_exceeds_the_promise(
    moves: list[tuple[Decimal, str]],
) -> None:
    promise, parts = cash("1000.00"), []
    for asked, then in moves:
        try:
            parts.append(Part(amount=ledger.part_to_deliver(promise, parts, None, asked), status=then))
        except Invalid:
            assert asked > ledger.remaining(promise, parts)
    figures = ledger.totals([(promise, parts)]).cash["USD"]
    assert Decimal(0) <= figures.confirmed <= figures.delivered <= figures.committed == figures.pledged
    assert figures.delivered + ledger.remaining(promise, parts) == Decimal("1000.00")
