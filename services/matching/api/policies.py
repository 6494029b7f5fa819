"""Policies: versioned weights and rules, tried before they are put in force."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from services.matching.commands import policies as commands
from services.matching.domain.policies import LIFECYCLE
from services.matching.schemas.policies import PolicyIn, PolicyOut, SimulatedOut, show, show_simulated
from services.matching.store import policies
from shared.api import CallerDep, Nothing, Router, RunningDep, TxDep
from shared.web.auth import SIGNED_IN, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("policies")
Number = Annotated[int, Path(ge=1, le=2_000_000_000)]


@router.get("/policies", SIGNED_IN)
async def list_policies(tx: TxDep, caller: CallerDep, paging: Paging) -> Page[PolicyOut]:
    """All policies, newest first: by these rules proposals are and were made."""
    found, after = await policies.page_of(tx, paging)
    return Page[PolicyOut](items=[show(row, caller) for row in found], next=after)


@router.get("/policies/{policy_version}", SIGNED_IN)
async def get_policy(tx: TxDep, caller: CallerDep, policy_version: Number) -> PolicyOut:
    """One policy, as a match names it."""
    return show(await policies.get(tx, policy_version), caller)


@router.post("/policies", only("operator"), status=201)
async def draft_policy(tx: TxDep, caller: CallerDep, body: PolicyIn) -> PolicyOut:
    """Drafts a policy from the active one; it changes nothing yet."""
    return show(await commands.draft(tx, body.changes(), body.note), caller)


@router.post("/policies/{policy_version}/simulate", only("operator"))
async def simulate_policy(
    tx: TxDep,
    running: RunningDep,
    policy_version: Number,
    body: Nothing,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> SimulatedOut:
    """What would change for the open needs if it were in force; stores nothing."""
    del body
    found = await commands.simulate(tx, running.state["ranker"], policy_version, limit)
    return show_simulated(policy_version, found)


@router.post(
    "/policies/{policy_version}/activate",
    only("operator"),
    by=LIFECYCLE.who("activate"),
    refuses=LIFECYCLE.codes("activate"),
)
async def activate_policy(
    tx: TxDep, caller: CallerDep, policy_version: Number, body: Nothing, if_match: IfMatch
) -> PolicyOut:
    """Puts it in force; all live needs are ranked again, matches made so far keep their scores."""
    del body
    return show(await commands.activate(tx, caller, policy_version, if_match), caller)
