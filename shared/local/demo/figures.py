"""The figures of a story: worked out by hand in the facts, and again from what the APIs answer.

`computed` figures use nothing but answers of the APIs. Where the exchange does not hold a value (an indicator of the
source, say), the figure is worked out from the story's own values; it is marked `source` and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from shared.local.demo.client import Actor, Exchange
from shared.local.demo.members import Check, Period, Project, Reading
from shared.local.demo.observed import Observed, Seen
from shared.local.demo.opening import Scene
from shared.local.demo.story import work_out
from shared.reference.dates import first_day
from shared.reference.vocabulary import Role

NOTHING = "none"
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Figure:
    """One figure twice: as expected, and as the system (or the source alone) has it."""

    what: str
    expected: str
    computed: str
    kind: Literal["computed", "source"] = "computed"

    @property
    def equal(self) -> bool:
        """Green or red."""
        return self.expected == self.computed


@dataclass
class Lists:
    """Country lists of registry, each asked for once."""

    exchange: Exchange
    actor: Actor
    _known: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    async def holders(self, status: str, day: str, of: Iterable[str]) -> frozenset[str]:
        """Which of the countries hold a status (`LDC`, `LLDC`, `SIDS`, `SOUTH`) on the day."""
        if status == "SOUTH":  # a member of the country, not one of the groups of the United Nations
            seen = {
                code: await self.exchange.get("registry", f"/countries/{code}", self.actor, as_of=day) for code in of
            }
            return frozenset(code for code, country in seen.items() if country["south"])
        key = (status.casefold(), day)
        if key not in self._known:
            found = self.exchange.items("registry", "/countries", self.actor, group=key[0], as_of=day)
            self._known[key] = frozenset([country["code"] async for country in found])
        return self._known[key] & frozenset(of)


async def figures(scene: Scene, observed: Observed, lists: Lists) -> list[Figure]:
    """All figures of a story, the computed ones first."""
    made = [figure for seen in observed.seen for figure in of_project(scene, seen, several=len(observed.seen) > 1)]
    made += of_thread(scene, observed)
    for check in scene.story.checks:
        made.append(await _of_status(check, lists) if check.op == "status" else of_check(scene, observed, check))
    return sorted(made, key=lambda figure: figure.kind != "computed")


def of_thread(scene: Scene, observed: Observed) -> Iterator[Figure]:
    """Modality, the need's end, and that no event of the story is missing or double."""
    yield Figure("Modality", scene.story.case, observed.seen[0].project["modality"])
    if observed.need:
        ended = scene.story.played[0].final_state in {"completed", "closed"}
        yield Figure("State of the need", "fulfilled" if ended else "engaged", observed.need["status"])
    if scene.story.replication:
        reused = f"Practice of {scene.story.replication_of}, reused"
        yield Figure(reused, scene.story.replication.outcome, observed.reuse or NOTHING)
    expected, found = observed.expected_events(), observed.found_events()
    wrong = [f"{found[name]} {name}" for name in expected if found[name] != expected[name]]
    yield Figure("Events in the threads", number(expected.total()), ", ".join([number(found.total()), *wrong]))


def of_project(scene: Scene, seen: Seen, *, several: bool) -> Iterator[Figure]:
    """State, days, partners and ledger of one project against the facts."""
    plan, project = seen.plan, seen.project
    prefix = f"{plan.id.replace('_', ' ').capitalize()}: " if several else ""
    yield Figure(f"{prefix}state", plan.final_state, project["status"])
    if plan.final_state != "pipeline":
        yield Figure(f"{prefix}work began", text(plan.started_on), text(project["started_on"]))
    if plan.completed_on:
        yield Figure(f"{prefix}work ended", text(plan.completed_on), text(project["completed_on"]))
    day = plan.completed_on or scene.today
    counts = (_counts(_planned(plan, day)), _counts(_held(project["partners"], day)))
    yield Figure(f"{prefix}beneficiary, pivotal, facilitating partners", *counts)
    yield from _of_money(scene, seen, prefix)
    reached = [m for m in scene.story.milestones if m.project == plan.id and m.date]
    if reached:
        found = [m for m in seen.children["milestones"] if m["status"] == "reached"]
        yield Figure(f"{prefix}milestones reached", number(len(reached)), number(len(found)))


def _of_money(scene: Scene, seen: Seen, prefix: str) -> Iterator[Figure]:
    plan, budget = seen.plan, scene.story.need.budget
    if plan.opening == "match" and budget:
        found = seen.project["budget"] or {"amount": "0", "currency": budget.currency}
        have = f"{number(Decimal(found['amount']))} {found['currency']}"
        yield Figure(f"{prefix}budget", f"{number(budget.amount)} {budget.currency}", have)
    for currency, amount in plan.money.items():
        yield Figure(
            f"{prefix}committed, {currency}", number(amount), number(Decimal(seen.committed("cash", currency)))
        )
    spent = [share for share in plan.ledger if share.status == "spent"]
    if spent:
        total, currency = sum((share.amount or Decimal() for share in spent), Decimal()), spent[0].currency
        confirmed = Decimal(seen.committed("cash", currency, "confirmed"))
        yield Figure(f"{prefix}delivered and confirmed, {currency}", number(total), number(confirmed))
    for gift in [gift for gift in scene.story.in_kind if gift.project == plan.id]:
        found = Decimal(seen.committed("in_kind", gift.unit_code))
        yield Figure(f"{prefix}in kind, {gift.unit_code.replace('_', ' ')}", number(gift.quantity), number(found))


def _planned(plan: Project, day: date) -> Iterator[str]:
    for partner in plan.partners:
        if _holds(partner, plan, day):
            yield partner.role


def _holds(period: Period, plan: Project, day: date) -> bool:
    known = period.from_ or plan.start
    return known is None or first_day(known) <= day


def _held(partners: list[dict[str, Any]], day: date) -> Iterator[str]:
    for partner in partners:
        if partner["from"] <= day.isoformat() and (partner["to"] is None or day.isoformat() < partner["to"]):
            yield partner["role"]


def _counts(roles: Iterable[str]) -> str:
    held = list(roles)
    return ", ".join(str(held.count(role)) for role in (Role.BENEFICIARY, Role.PIVOTAL, Role.FACILITATING))


async def _of_status(check: Check, lists: Lists) -> Figure:
    day = first_day(check.on or "").isoformat()
    found = await lists.holders(check.status, day, check.of)
    what = check.what if day[:4] in check.what else f"{check.what} ({day})"
    return Figure(f"{what}: of {', '.join(check.of)}", names(check.expected), names(found))


def of_check(scene: Scene, observed: Observed, check: Check) -> Figure:
    """A check of the facts: from the APIs where it says what to read, else from the source."""
    expected = number(Decimal(str(check.expected)))
    if check.read is None:
        return Figure(check.what, expected, number(work_out(check, check.values)), "source")
    values = [read(scene, observed, reading) for reading in check.read]
    flat = values[0] if check.op == "count" else values
    return Figure(check.what, expected, number(work_out(check, flat)))


def read(scene: Scene, observed: Observed, reading: Reading) -> Any:  # noqa: ANN401 (a number, or a list to count)
    """The value that the APIs answer for one of a check's values."""
    seen = observed.project(reading.project)
    match reading.kind:
        case "totals":
            return Decimal(seen.committed("cash", reading.of, reading.stage))
        case "given":
            return sum(_given(seen, scene.id_of(reading.by), reading.of), Decimal())
        case "partners":
            return sorted(_countries(seen, reading.role, first_day(reading.on or "")))
        case "milestones":
            words = reading.containing.casefold()
            return [
                m for m in seen.children["milestones"] if m["status"] == "reached" and words in m["title"].casefold()
            ]
        case "year":
            return date.fromisoformat(seen.project[reading.of]).year
        case "years":
            since, until = (date.fromisoformat(seen.project[name]) for name in (reading.since, reading.until))
            return round((until - since).days / DAYS_A_YEAR)


def _given(seen: Seen, giver_id: str, currency: str) -> Iterator[Decimal]:
    for one in seen.children["contributions"]:
        if one["giver_id"] == giver_id and one["kind"] == "cash" and one["value"]["currency"] == currency:
            yield Decimal(one["value"]["amount"])


def _countries(seen: Seen, role: Role, day: date) -> set[str]:
    held = [p for p in seen.project["partners"] if p["role"] == role and p["country"]]
    return {p["country"] for p in held if list(_held([p], day))}


def number(value: Decimal | int) -> str:
    """`12,012,841`, `80.1`, `7`: the same however it was written."""
    plain = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def names(codes: Iterable[str]) -> str:
    """Country codes in order, or that there are none."""
    return ", ".join(sorted(codes)) or NOTHING


def text(day: date | str | None) -> str:
    """A day, or that there is none."""
    return str(day) if day else NOTHING
