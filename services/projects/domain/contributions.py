"""The ledger: what is promised, delivered in parts, and counts only once the receiver confirmed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeVar
from uuid import UUID

from services.projects.domain.projects import RUNNING
from shared.lifecycle import Guard, Invalid, Lifecycle, NotNow, Step
from shared.reference.vocabulary import ContributionKind

MAX_DELIVERIES = 200  # an event carries all of them and must stay below 256 KiB
ZERO = Decimal(0)
COUNTED = frozenset({"delivered", "confirmed"})


class Delivery(Protocol):
    """One part: `quantity` in kind or `amount` of cash; `delivered`, `confirmed` or `disputed`."""

    id: UUID
    quantity: Decimal | None
    amount: Decimal | None
    status: str


D = TypeVar("D", bound=Delivery)


class Contribution(Protocol):
    """What was promised."""

    status: str
    kind: str
    unit: str | None
    quantity: Decimal | None
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class ContributionFacts:
    """The project's status and which deliveries the receiver may still judge."""

    project_status: str
    waiting: bool
    disputed: bool


def facts_of(project_status: str, deliveries: Iterable[Delivery]) -> ContributionFacts:
    """The facts for the table below."""
    statuses = {delivery.status for delivery in deliveries}
    return ContributionFacts(project_status, "delivered" in statuses, "disputed" in statuses)


_NOT_COMPLETED: Guard[ContributionFacts] = Guard(
    "invalid_transition",
    "The project has ended.",
    lambda facts: facts.project_status in RUNNING,
)
_ACTIVE: Guard[ContributionFacts] = Guard(
    "invalid_transition", "The project is not active.", lambda facts: facts.project_status == "active"
)
_BOOKS_OPEN: Guard[ContributionFacts] = Guard(
    "invalid_transition", "The project is closed.", lambda facts: facts.project_status != "closed"
)
_SOMETHING_OPEN: Guard[ContributionFacts] = Guard(
    "invalid_transition", "No delivery waits for your word.", lambda facts: facts.waiting or facts.disputed
)
_SOMETHING_WAITS: Guard[ContributionFacts] = Guard(
    "invalid_transition", "No delivery waits for your word.", lambda facts: facts.waiting
)

_GIVER = frozenset({"giver:owner", "giver:editor"})
_RECEIVER = frozenset({"receiver:owner"})
_DELIVERING = frozenset({"committed", "delivered"})

CONTRIBUTION = Lifecycle[ContributionFacts](
    "contribution",
    (
        Step("commit", frozenset({"pledged"}), "committed", _GIVER, "ContributionCommitted", guards=(_NOT_COMPLETED,)),
        Step("deliver", frozenset({"committed"}), None, _GIVER, "ContributionDelivered", guards=(_ACTIVE,)),
        Step(
            "confirm",
            _DELIVERING,
            None,
            _RECEIVER,
            "ContributionConfirmed",
            signs=True,
            guards=(_BOOKS_OPEN, _SOMETHING_OPEN),
        ),
        Step("dispute", _DELIVERING, None, _RECEIVER, "ContributionDisputed", guards=(_BOOKS_OPEN, _SOMETHING_WAITS)),
    ),
)


def check_receiver(giver: UUID, receiver: UUID, partners: Collection[UUID]) -> None:
    """Another partner of the project (422)."""
    if receiver == giver:
        raise Invalid("/receiver_id", "Must be another partner than the giver", "giver_is_receiver")
    if receiver not in partners:
        raise Invalid("/receiver_id", "Is no partner of the project", "not_partner")


def size(part: Delivery | Contribution, kind: str) -> Decimal:
    """The figure that is delivered in parts: the amount of cash, the quantity in kind."""
    return (part.amount if kind == ContributionKind.CASH else part.quantity) or ZERO


def remaining(contribution: Contribution, deliveries: Iterable[Delivery]) -> Decimal:
    """What is promised but not delivered; a disputed delivery does not count."""
    counted = (size(delivery, contribution.kind) for delivery in deliveries if delivery.status in COUNTED)
    return size(contribution, contribution.kind) - sum(counted, ZERO)


def part_to_deliver(
    contribution: Contribution, deliveries: Sequence[Delivery], quantity: Decimal | None, amount: Decimal | None
) -> Decimal:
    """The size of the next part: as asked, or all that remains; 422 when it is more, or of the wrong kind."""
    cash = contribution.kind == ContributionKind.CASH
    wrong, pointer = ("/quantity", "/amount") if cash else ("/amount", "/quantity")
    if (quantity if cash else amount) is not None:
        raise Invalid(
            wrong, f"This contribution is {contribution.kind}: give {pointer.removeprefix('/')}", "wrong_kind"
        )
    if len(deliveries) >= MAX_DELIVERIES:
        raise Invalid(pointer, f"A contribution is delivered in at most {MAX_DELIVERIES} parts", "too_long")
    left = remaining(contribution, deliveries)
    asked = amount if cash else quantity
    if asked is not None and asked > left:
        raise Invalid(pointer, f"Only {left:f} remain to be delivered", "more_than_remains")
    return left if asked is None else asked


def status_after(contribution: Contribution, deliveries: Sequence[Delivery]) -> str:
    """`committed` while something remains, `delivered` until all is confirmed, then `confirmed`."""
    if remaining(contribution, deliveries) > ZERO:
        return "committed"
    return "delivered" if any(delivery.status == "delivered" for delivery in deliveries) else "confirmed"


def to_confirm(contribution: Contribution, deliveries: Sequence[D], delivery_id: UUID | None) -> list[D]:
    """The deliveries to confirm: the one named, else all that wait (409 when none does).

    A disputed one may be confirmed after all, unless the giver has delivered that part again.
    """
    if delivery_id is None:
        waiting = [delivery for delivery in deliveries if delivery.status == "delivered"]
        if not waiting:
            raise _none_waits(contribution, deliveries)
        return waiting
    named = find(deliveries, delivery_id)
    if named.status == "confirmed":
        raise NotNow("This delivery is confirmed already.", named.status, [])
    if _replaced(contribution, deliveries, named):
        raise NotNow("This part has been delivered again since; confirm that delivery.", named.status, [])
    return [named]


def to_dispute(contribution: Contribution, deliveries: Sequence[D], delivery_id: UUID) -> D:
    """The delivery to dispute, which must still wait (409)."""
    named = find(deliveries, delivery_id)
    if named.status != "delivered":
        done = named.status == "confirmed" or _replaced(contribution, deliveries, named)
        raise NotNow(f"This delivery is {named.status} already.", named.status, [] if done else ["confirm"])
    return named


def _replaced(contribution: Contribution, deliveries: Sequence[Delivery], disputed: Delivery) -> bool:
    """Whether the giver has delivered the disputed part again."""
    return disputed.status == "disputed" and size(disputed, contribution.kind) > remaining(contribution, deliveries)


def find(deliveries: Iterable[D], delivery_id: UUID) -> D:
    """The delivery of that id; 422 when the contribution has none."""
    for delivery in deliveries:
        if delivery.id == delivery_id:
            return delivery
    raise Invalid("/delivery_id", "This contribution has no such delivery", "unknown_delivery")


def _none_waits(contribution: Contribution, deliveries: Sequence[Delivery]) -> NotNow:
    if any(part.status == "disputed" and not _replaced(contribution, deliveries, part) for part in deliveries):
        detail = "No delivery waits for your word; name the disputed one to confirm it after all."
        return NotNow(detail, "disputed", ["confirm"])
    return NotNow("No delivery waits for your word.", status_after(contribution, deliveries), [])


@dataclass(slots=True)
class Figures:
    """The four stages of one currency or unit; each includes the later ones."""

    pledged: Decimal = ZERO
    committed: Decimal = ZERO
    delivered: Decimal = ZERO
    confirmed: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Totals:
    """Per currency and per unit, never added across them."""

    cash: dict[str, Figures]
    in_kind: dict[str, Figures]


def totals(ledger: Iterable[tuple[Contribution, Sequence[Delivery]]]) -> Totals:
    """Add up a project's contributions, exactly."""
    cash: defaultdict[str, Figures] = defaultdict(Figures)
    in_kind: defaultdict[str, Figures] = defaultdict(Figures)
    for contribution, deliveries in ledger:
        if contribution.kind == ContributionKind.CASH:
            _add(cash[contribution.currency or ""], contribution, deliveries)
        else:
            _add(in_kind[contribution.unit or ""], contribution, deliveries)
            if contribution.currency:
                cash[contribution.currency]  # it occurs, so it has its row
    return Totals(dict(sorted(cash.items())), dict(sorted(in_kind.items())))


def _add(figures: Figures, contribution: Contribution, deliveries: Sequence[Delivery]) -> None:
    promised = size(contribution, contribution.kind)
    figures.pledged += promised
    if contribution.status != "pledged":
        figures.committed += promised
    for delivery in deliveries:
        part = size(delivery, contribution.kind)
        figures.delivered += part if delivery.status in COUNTED else ZERO
        figures.confirmed += part if delivery.status == "confirmed" else ZERO
