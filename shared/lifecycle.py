"""State tables: one small type from which enforcement, `actions`, tests and diagrams all come.

A rule about who may move what from where lives in exactly one row of such a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Facts = TypeVar("Facts")

SYSTEM = "system"
NOT_NOW = "invalid_transition"


class Refused(Exception):  # noqa: N818 (a refusal is an answer, not a defect)
    """A rule says no. `code` is a stable problem code; `members` go into the problem document."""

    def __init__(self, code: str, detail: str, **members: Any) -> None:  # noqa: ANN401
        super().__init__(detail)
        self.code, self.detail, self.members = code, detail, members


class Invalid(Refused):
    """The request itself is wrong at one place (422)."""

    def __init__(self, pointer: str, message: str, code: str = "invalid") -> None:
        error = {"pointer": pointer, "code": code, "message": message}
        super().__init__("validation_failed", message, errors=[error])


class NotNow(Refused):
    """Not possible from where the resource stands (409 `invalid_transition`): says where that is and what is possible.

    That is the resource of the address, or the part of it that the request names, such as one delivery.
    """

    def __init__(self, detail: str, current_status: str, allowed: Sequence[str], title: str | None = None) -> None:
        members = {"title": title} if title else {}
        super().__init__(NOT_NOW, detail, current_status=current_status, allowed=list(allowed), **members)


@dataclass(frozen=True)
class Guard(Generic[Facts]):
    """A condition beyond the status: `code` is answered when it does not hold."""

    code: str
    detail: str
    holds: Callable[[Facts], bool]


@dataclass(frozen=True)
class Step(Generic[Facts]):
    """One row: `action` by one of `who` takes the thing from a status in `sources` to `target`.

    `who` holds hats (`operator`, `provider:owner`, `system`); `target` None means the status stays or the
    domain decides it; `signs` asks for a key that may sign.
    """

    action: str
    sources: frozenset[str]
    target: str | None
    who: frozenset[str]
    event: str
    signs: bool = False
    guards: Sequence[Guard[Facts]] = field(default=())


@dataclass(frozen=True)
class Lifecycle(Generic[Facts]):
    """The state table of one kind of resource."""

    noun: str
    steps: Sequence[Step[Facts]]

    def permit(self, action: str, hats: Iterable[str], *, can_sign: bool = True) -> None:
        """Raises `forbidden` when these hats may never do this, whatever the status (403 goes before 428, 412, 409)."""
        mine = set(hats)
        self._permit(
            action, [step for step in self.steps if step.action == action and step.who & mine], can_sign=can_sign
        )

    def check(
        self, action: str, status: str, facts: Facts, hats: Iterable[str], *, can_sign: bool = True
    ) -> Step[Facts]:
        """The step that applies; raises `Refused` with `forbidden`, `invalid_transition` or a guard's code."""
        named = [step for step in self.steps if step.action == action]
        self._permit(action, [step for step in named if step.who & set(hats)], can_sign=can_sign)
        here = [step for step in named if status in step.sources and step.who & set(hats)]
        if not here:
            raise self.invalid(action, status, self.actions(status, facts, hats, can_sign=can_sign))
        failed = self._failed_guard(here[0], facts)
        if failed is None:
            return here[0]
        if failed.code == NOT_NOW:
            raise self.invalid(action, status, self.actions(status, facts, hats, can_sign=can_sign), failed.detail)
        raise Refused(failed.code, failed.detail)

    def actions(self, status: str, facts: Facts, hats: Iterable[str], *, can_sign: bool = True) -> list[str]:
        """What a caller with these hats may do now, in table order."""
        mine = set(hats)
        return list(
            dict.fromkeys(
                step.action
                for step in self.steps
                if status in step.sources
                and step.who & mine - {SYSTEM}
                and (can_sign or not step.signs)
                and self._failed_guard(step, facts) is None
            )
        )

    def invalid(self, action: str, status: str, allowed: Sequence[str], detail: str | None = None) -> Refused:
        """The 409 for a step that the table does not have from here."""
        says = detail or f"The {self.noun} is {status}; " + (
            f"now possible: {', '.join(allowed)}." if allowed else "nothing more can happen to it by you."
        )
        title = f"This {self.noun} does not allow '{action}' now"
        return NotNow(says, status, allowed, title)

    def codes(self, *actions: str) -> frozenset[str]:
        """With which problem codes the table can refuse these actions: what their routes must name."""
        guards = {guard.code for step in self.steps if step.action in actions for guard in step.guards}
        return frozenset({"forbidden", NOT_NOW} | guards)

    def who(self, *actions: str) -> frozenset[str]:
        """The hats that any of these steps asks of a caller: what their routes must name."""
        return frozenset(hat for step in self.steps if step.action in actions for hat in step.who - {SYSTEM})

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram, for the READMEs."""
        rows = sorted({(s, step.target or s, step.action) for step in self.steps for s in step.sources})
        return "\n".join(["stateDiagram-v2", *(f"    {a} --> {b}: {action}" for a, b, action in rows)])

    def _permit(self, action: str, permitted: Sequence[Step[Facts]], *, can_sign: bool) -> None:
        if not permitted:
            raise Refused("forbidden", f"Your role does not allow '{action}' on this {self.noun}.")
        if permitted[0].signs and not can_sign:
            raise Refused("forbidden", f"'{action}' needs a key that may sign (can_sign).")

    @staticmethod
    def _failed_guard(step: Step[Facts], facts: Facts) -> Guard[Facts] | None:
        return next((guard for guard in step.guards if not guard.holds(facts)), None)
