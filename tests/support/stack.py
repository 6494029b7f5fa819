"""Running one service (alone) or all of them inside a test, on real parts and real ports."""

from __future__ import annotations

import importlib
import socket
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from pydantic import SecretStr
from sqlalchemy import select

from services import SERVICES
from shared import run
from shared.data import migrate
from tests.support.described import Described
from tests.support.kafka import Foreign, read_topic
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.messaging.envelope import CloudEvent
    from shared.service import Running
    from tests.support.parts import Parts

ISSUER = "http://issuer.test"


class Issuer:
    """Issues tokens as registry does, for tests of the other services alone."""

    def __init__(self) -> None:
        self._key = OKPKey.generate_key("Ed25519", {"kid": "test", "alg": "EdDSA"})

    async def keys(self, kid: str) -> KeySet:  # noqa: ARG002 (the protocol of key sources)
        """The public key."""
        return KeySet([self._key])

    def token(
        self,
        *roles: str,
        institution_id: UUID | str | None = None,
        can_sign: bool = True,
        sub: str | None = None,
        **claims: Any,
    ) -> str:
        """An access token; any claim can be overridden to make a bad one."""
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "aud": "bandung",
            "sub": sub or f"key:{uuid4()}",
            "institution_id": str(institution_id) if institution_id else None,
            "roles": list(roles),
            "can_sign": can_sign,
            "iat": now,
            "exp": now + 900,
            "jti": str(uuid4()),
        }
        header = {"alg": "EdDSA", "typ": "at+jwt", "kid": "test"}
        return jwt.encode(header, payload | claims, self._key, algorithms=["EdDSA"])

    def headers(self, *roles: str, institution_id: UUID | str | None = None, **claims: Any) -> dict[str, str]:
        """The Authorization header for such a token."""
        return {"Authorization": f"Bearer {self.token(*roles, institution_id=institution_id, **claims)}"}


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class RunningService:
    """One service that runs inside the test's event loop."""

    name: str
    running: Running
    client: httpx.AsyncClient
    issuer: Issuer
    parts: Parts
    prefix: str
    foreign: Foreign
    loops: run.Loops = field(repr=False)

    def token(self, *roles: str, institution_id: UUID | str | None = None, **claims: Any) -> dict[str, str]:
        """Authorization header: `token("owner", institution_id=...)`; the same caller keeps its `sub` with `sub=`."""
        return self.issuer.headers(*roles, institution_id=institution_id, **claims)

    async def records(self, topic: str) -> list[CloudEvent]:
        """What stands on one of this installation's topics."""
        return await read_topic(self.parts.bootstrap, self.prefix + topic)

    async def handled(self, *event_ids: UUID) -> None:
        """Until these events, which the service listens to, have had their effect."""
        inbox = self.running.service.kernel.inbox.inbox

        async def all_are() -> bool:
            async with self.running.database.background_session() as session:
                found = await session.scalars(select(inbox.c.event_id).where(inbox.c.event_id.in_(event_ids)))
                return set(found) == set(event_ids)

        await eventually(all_are)


@asynccontextmanager
async def running_service(
    parts: Parts,
    name: str,
    *,
    database_url: str | None = None,
    prefix: str | None = None,
    issuer: Issuer | None = None,
    **settings: Any,
) -> AsyncIterator[RunningService]:
    """One of the four, alone, on a fresh database and topic prefix (or the given ones)."""
    package = importlib.import_module(f"{SERVICES[name]}.app")
    settings_class = importlib.import_module(f"{SERVICES[name]}.settings").Settings
    url = database_url or await parts.new_database(name)
    cleans = prefix is None  # whoever names a prefix comes back to its topics
    prefix = prefix if prefix is not None else f"t{uuid4().hex[:8]}."
    issuer = issuer or Issuer()
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        values: dict[str, Any] = {
            "instance": "test",
            "embedded": True,
            "home": Path(home),
            "port": free_port(),
            "database_url": SecretStr(url),
            "kafka_bootstrap": parts.bootstrap,
            "topic_prefix": prefix,
            "issuer": ISSUER,
        }
        service = package.build(settings_class(**(values | settings)))
        await migrate.upgrade(url, service.migrations)
        foreign = await stack.enter_async_context(Foreign(parts.bootstrap, prefix, cleans=cleans))
        loops = await run.start(service, keys=issuer)
        stack.push_async_callback(run.stop, [loops])
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=service.settings.base_url,
                timeout=30,
                trust_env=False,
                event_hooks={"response": [Described(service).check]},
            )
        )
        yield RunningService(name, loops.running, client, issuer, parts, prefix, foreign, loops)
