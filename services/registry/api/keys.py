"""API keys."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from services.registry.commands import keys as commands
from services.registry.domain.keys import LIFECYCLE
from services.registry.schemas.keys import KeyIn, KeyOut
from services.registry.store import keys as store
from services.registry.tables import KeyRow
from shared.api import CallerDep, Nothing, Router, RunningDep, TxDep
from shared.web.auth import Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("keys")
HOLDERS = only("owner", "operator")


@router.post("/keys", HOLDERS, status=201, refuses=("wrong_institution", "not_found"))
async def issue_key(tx: TxDep, caller: CallerDep, running: RunningDep, body: KeyIn) -> KeyOut:
    """Makes a key of an institution; its secret is in this answer only."""
    issued = await commands.issue(tx, body, signs_by_default=running.settings.keys_sign_by_default)
    return show(issued.key, caller, issued.secret)


@router.get("/keys", HOLDERS)
async def list_keys(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    institution_id: UUID | None = None,
    status: Annotated[list[Literal["active", "revoked"]] | None, Query()] = None,
) -> Page[KeyOut]:
    """The keys of one's own institution; an operator sees all."""
    found, after = await store.page(tx, caller, institution_id, status or (), paging)
    return Page(items=[show(key, caller) for key in found], next=after)


@router.get("/keys/{key_id}", HOLDERS)
async def get_key(tx: TxDep, caller: CallerDep, key_id: UUID) -> KeyOut:
    """A key without its secret."""
    return show(await store.get_visible(tx, caller, key_id), caller)


@router.post("/keys/{key_id}/revoke", HOLDERS, refuses=LIFECYCLE.codes("revoke"))
async def revoke_key(tx: TxDep, caller: CallerDep, key_id: UUID, if_match: IfMatch, body: Nothing) -> KeyOut:  # noqa: ARG001 (refuses members)
    """It gets no more tokens."""
    return show(await commands.revoke(tx, key_id, if_match), caller)


def show(key: KeyRow, caller: Caller, secret: str | None = None) -> KeyOut:
    """The answer for this caller."""
    hats = caller.hats(owner=[key.institution_id] if key.institution_id else [])
    actions = LIFECYCLE.actions(key.status, None, hats, can_sign=caller.can_sign)
    return KeyOut.model_validate({**key.model_dump(), "client_secret": secret, "actions": actions})
