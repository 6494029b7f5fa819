"""API keys: issue, revoke, and the platform keys that only the command line makes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from services.registry.commands.common import admit, caller_of
from services.registry.domain import keys as rules
from services.registry.schemas.keys import KeyIn
from services.registry.store import institutions
from services.registry.store import keys as store
from services.registry.store.common import touch
from services.registry.tables import KeyRow
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.problems import not_found
from shared.web.versions import ANY_VERSION, Precondition

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with the secret that is known only now; None when nothing new was made."""

    key: KeyRow
    secret: str | None


async def issue(tx: Tx, body: KeyIn, *, signs_by_default: bool) -> Issued:
    """A key of an institution."""
    caller = caller_of(tx)
    institution = await institutions.acting(tx, caller, body.institution_id)
    rules.check_expiry(body.expires_on, tx.clock.real().date())
    can_sign = rules.may_sign(body.can_sign, default=signs_by_default, maker_may=caller.is_operator or caller.can_sign)
    secret = new_secret()
    row = _row(tx, name=body.name, role=body.role, can_sign=can_sign, secret=secret)
    row.institution_id, row.expires_on = institution.id, body.expires_on
    tx.session.add(row)
    await tx.audit("KeyIssued", f"keys/{row.id}")
    return Issued(row, secret)


async def revoke(tx: Tx, key_id: UUID, if_match: Precondition) -> KeyRow:
    """It gets no more tokens; those it has end within a quarter of an hour."""
    caller = caller_of(tx)
    row = await store.get_visible(tx, caller, key_id, lock=True)
    hats = caller.hats(owner=[row.institution_id] if row.institution_id else [])
    admit(rules.LIFECYCLE, "revoke", row, None, hats, caller, if_match)
    row.status = "revoked"
    touch(tx, row)
    await tx.audit("KeyRevoked", f"keys/{row.id}")
    return row


async def revoke_by_client_id(tx: Tx, client_id: str) -> KeyRow:
    """Revokes whatever key has this client id; raises `not_found`."""
    row = await store.by_client_id(tx, client_id)
    if row is None:
        raise not_found("key")
    return await revoke(tx, row.id, ANY_VERSION)


async def ensure_platform_key(tx: Tx, role: str, client_id: str | None, secret: str | None) -> Issued:
    """The platform key with this client id: made, or given this secret, or left as it is (a revoked one stays so)."""
    row = await store.by_client_id(tx, client_id, lock=True) if client_id else None
    if row is None:
        secret = secret or new_secret()
        row = _row(tx, name=role, role=role, can_sign=False, secret=secret)
        row.client_id = client_id or row.client_id
        tx.session.add(row)
        await tx.audit("PlatformKeyMade", f"keys/{row.id}")
        return Issued(row, secret)
    if secret is not None and not is_secret(row, secret):
        row.secret_sha256 = digest(secret)
        touch(tx, row)
    return Issued(row, secret)


def is_secret(row: KeyRow, secret: str) -> bool:
    """Whether this is the key's secret, in constant time."""
    return hmac.compare_digest(row.secret_sha256, digest(secret))


def new_secret() -> str:
    """256 random bits."""
    return f"bds_{secrets.token_urlsafe(SECRET_BYTES)}"


def digest(secret: str) -> bytes:
    """What is stored: a secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def _row(tx: Tx, *, name: str, role: str, can_sign: bool, secret: str) -> KeyRow:
    key_id = new_id()
    return KeyRow(
        id=key_id,
        status="active",
        name=name,
        role=role,
        can_sign=can_sign,
        client_id=f"bdk_{key_id.hex}",
        secret_sha256=digest(secret),
        created_at=tx.now,
        updated_at=tx.now,
    )
