"""Access tokens: Ed25519 keys that live in the database, and JWTs signed with the newest of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy.ext.asyncio import AsyncSession

from services.registry.settings import Settings
from services.registry.store import keys as store
from services.registry.store.common import hold
from services.registry.tables import KeyRow, SigningKeyRow
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.service import Running
from shared.web.auth import ALGORITHM, AUDIENCE, TOKEN_TYPE

RELOAD_SECONDS = 30.0
UNKNOWN_RELOAD_SECONDS = 1.0
SERVED_AFTER_ROTATION = timedelta(days=1)


@dataclass
class SigningKeys:
    """The keys as they stand in the database, read again every half minute and when an unknown one is asked for.

    Serves as the `KeySource` of registry itself, which needs no HTTP to verify its own tokens.
    """

    session: Callable[[], AsyncSession]
    _keys: list[OKPKey] = field(default_factory=list)
    _read_at: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keys(self, kid: str) -> KeySet:
        """All public and private keys that are not retired."""
        known = any(key.kid == kid for key in self._keys)
        await self._fresh(RELOAD_SECONDS if known else UNKNOWN_RELOAD_SECONDS)
        return KeySet(list(self._keys))

    async def newest(self) -> OKPKey:
        """The one that signs."""
        await self._fresh(RELOAD_SECONDS)
        return self._keys[0]

    async def public(self) -> dict[str, Any]:
        """The JWK set for everybody."""
        await self._fresh(UNKNOWN_RELOAD_SECONDS)
        return {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in self._keys]}

    async def _fresh(self, seconds: float) -> None:
        if self._is_fresh(seconds):
            return
        async with self._lock:
            if not self._is_fresh(seconds):
                async with self.session() as session:
                    rows = await store.signing_keys(session)
                self._keys = [OKPKey.import_key(row.jwk) for row in rows]  # type: ignore[arg-type]
                self._read_at = time.monotonic()

    def _is_fresh(self, seconds: float) -> bool:
        return bool(self._keys) and time.monotonic() - self._read_at < seconds


def signing_keys(running: Running) -> SigningKeys:
    """The keys of this process: the issuer verifies with its own, and the token endpoint signs with them."""
    keys: SigningKeys = running.state.setdefault("signing", SigningKeys(running.database.background_session))
    return keys


async def token(keys: SigningKeys, key: KeyRow, settings: Settings, now: int) -> str:
    """An access token for the bearer of an API key (claims: contract section 2)."""
    signer = await keys.newest()
    claims = {
        "iss": settings.issuer,
        "aud": AUDIENCE,
        "sub": f"key:{key.id}",
        "institution_id": str(key.institution_id) if key.institution_id else None,
        "roles": [key.role],
        "can_sign": key.can_sign,
        "iat": now,
        "exp": now + settings.token_ttl_seconds,
        "jti": str(new_id()),
    }
    header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": signer.kid}
    return jwt.encode(header, claims, signer, algorithms=[ALGORITHM])


async def ensure_signing_key(tx: Tx) -> None:
    """The first key of a new database; replicas that start at once make one only."""
    await hold(tx, "registry:signing key")
    if not await store.signing_keys(tx.session):
        await rotate(tx)


async def rotate(tx: Tx) -> str:
    """A new key signs from now on; the others stay served until their tokens have ended."""
    kid = str(new_id())
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "alg": ALGORITHM})
    tx.session.add(
        SigningKeyRow(
            kid=kid,
            jwk={name: str(value) for name, value in key.as_dict(private=True).items()},
            created_at=tx.clock.real(),
        )
    )
    await tx.session.flush()
    return kid


async def retire(tx: Tx) -> int:
    """Stops serving keys that were replaced a day ago; no token of theirs is left."""
    old = await store.superseded(tx.session, tx.clock.real() - SERVED_AFTER_ROTATION)
    for row in old:
        row.retired_at = tx.clock.real()
    return len(old)
