"""Policies: drafted from the active one, tried on the open needs, put in force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.matching.domain.policies import LIFECYCLE
from services.matching.engine.policy import Policy
from services.matching.engine.simulation import Change, Equity
from services.matching.facts import need_facts
from services.matching.states import policy_state
from services.matching.store import needs, policies, queue
from services.matching.tables import PolicyRow
from shared.events.matching import PolicyActivated
from shared.lifecycle import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.matching.ranking import Ranker
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a policy would change for the open needs that were looked at."""

    active_version: int
    open_needs: int
    looked_at: int
    changes: list[Change]
    before: Equity
    after: Equity


async def draft(tx: Tx, changes: Mapping[str, Any], note: str | None) -> PolicyRow:
    """The active policy with changes, as a draft with the next number; raises `Invalid`."""
    held = await policies.lock_all(tx)
    base = await policies.active(tx)
    policy = _changed(base, changes, max(held) + 1)
    row = PolicyRow(
        version=policy.version,
        revision=1,
        status=policies.DRAFT,
        note=note or None,
        document=policies.document_of(policy),
        made_at=tx.now,
    )
    tx.session.add(row)
    await tx.audit("draft", f"policies/{row.version}")
    return row


def _changed(base: Policy, changes: Mapping[str, Any], version: int) -> Policy:
    """Mappings are changed key by key, so that one weight can be named alone."""
    merged: dict[str, Any] = {
        name: {**getattr(base, name), **value} if isinstance(value, dict) else value for name, value in changes.items()
    }
    for name, value in merged.items():
        if isinstance(value, dict) and set(value) != set(getattr(base, name)):
            raise Invalid(f"/{name}", f"Known names are {', '.join(getattr(base, name))}", "unknown")
    try:
        return replace(base, version=version, **merged)
    except ValueError as error:
        raise Invalid("/weights", str(error)) from error


async def activate(tx: Tx, caller: Caller, version: int, if_match: Precondition) -> PolicyRow:
    """Puts a policy in force; all live needs are looked at again. Matches made so far keep their scores."""
    held = await policies.lock_all(tx)
    row = held.get(version) or await policies.get(tx, version)
    hats = caller.roles
    LIFECYCLE.permit("activate", hats)
    if_match.check(row.revision)
    LIFECYCLE.check("activate", row.status, None, hats)
    for other in held.values():
        if other.status == policies.ACTIVE:
            _move(other, policies.RETIRED)
    await tx.session.flush()
    _move(row, policies.ACTIVE)
    row.activated_at = tx.now
    tx.publish(PolicyActivated(policy=policy_state(row), by=tx.by))
    await queue.policy_changed(tx)
    return row


def _move(row: PolicyRow, status: str) -> None:
    row.status, row.revision = status, row.revision + 1


async def simulate(tx: Tx, ranker: Ranker, version: int, limit: int) -> Simulated:
    """Ranks open needs, the oldest first, under this policy and the active one; nothing is stored."""
    tried = policies.policy_of(await policies.get(tx, version))
    rows = await needs.oldest_open(tx, limit)
    today, since = tx.clock.today(), tx.now - timedelta(days=tried.quiet_days)
    quiet = await needs.quiet_of(tx, [row.id for row in rows], since)
    silent = {str(need): frozenset(map(str, held)) for need, held in quiet.items()}
    found = await ranker.simulate(tried, [need_facts(row) for row in rows], today, silent)
    return Simulated(ranker.policy.version, await needs.count_open(tx), len(rows), *found)
