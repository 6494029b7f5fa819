"""Keys of the platform itself (`operator`, `verifier`): made by the command line only, never over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.registry.commands import keys
from shared.messaging.transaction import Tx
from shared.operations import person
from shared.service import Running
from shared.web.auth import PLATFORM_ROLES


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """What its holder needs for `POST /token`; the secret is None for a key whose secret is known to others only."""

    role: str
    client_id: str
    client_secret: str | None
    status: str


@asynccontextmanager
async def as_person(running: Running) -> AsyncIterator[Tx]:
    """A unit of work in the name of the person at the command line, so that the audit knows who it was."""
    async with running.transactions.request(person(), "command line") as tx:
        yield tx
        await tx.commit()


async def ensure_platform_key(
    running: Running, role: str, *, client_id: str | None = None, client_secret: str | None = None
) -> PlatformKey:
    """Makes the key, or finds it by its client id; a given secret becomes its secret.

    Called twice with the same client id and secret it changes nothing. A revoked key stays revoked.
    Raises ValueError for a role that is none of the platform's.
    """
    if role not in PLATFORM_ROLES:
        msg = f"a platform key is one of: {', '.join(PLATFORM_ROLES)}"
        raise ValueError(msg)
    async with as_person(running) as tx:
        issued = await keys.ensure_platform_key(tx, role, client_id, client_secret)
    return PlatformKey(issued.key.role, issued.key.client_id, issued.secret, issued.key.status)
