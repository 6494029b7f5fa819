"""The smallest service there is: it makes things, tells of them, and counts what it hears. For tests of the kernel."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared import run
from shared.api import Body, CallerDep, Resource, Router, TxDep
from shared.data import columns
from shared.data.keyset import page
from shared.messaging.envelope import Event, Visibility
from shared.messaging.handlers import Handlers
from shared.messaging.kafka import Topic
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.ops.settings import ServiceSettings
from shared.reference.types import Title
from shared.service import KernelTables, Running, Service
from shared.web.auth import PUBLIC, SIGNED_IN, only
from shared.web.paging import Page, Paging
from shared.web.problems import not_found, refuse
from shared.web.versions import IfMatch
from tests.support.stack import ISSUER, Issuer, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

TOPIC = Topic("probe.things")
FOLDER = Path(tempfile.mkdtemp(prefix="probe-migrations-"))
(FOLDER / "versions").mkdir()


class Base(SQLModel, registry=registry(metadata=MetaData())):
    pass


class Thing(Base, table=True):
    __tablename__ = "thing"
    id: UUID = columns.key()
    version: int = 1
    title: str = columns.text()


class Heard(Base, table=True):
    __tablename__ = "heard"
    id: UUID = columns.key()
    thing_id: UUID = columns.uuid()
    sequence: str = columns.text()
    title: str = columns.text()


KERNEL = KernelTables.on(Base.metadata)


class ThingMade(Event):
    wire: ClassVar[str] = "org.bandung.ThingMade.v1"
    topic: ClassVar[str] = TOPIC.name
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    id: UUID
    title: str

    def key(self) -> UUID:
        return self.id

    def subject(self) -> str:
        return f"things/{self.id}"


class ThingIn(Body):
    title: Title
    fail_after_write: bool = False


class ThingOut(Resource):
    collection: ClassVar[str] = "things"
    id: UUID
    version: int
    title: str
    secret: str | None = None

    @property
    def thread(self) -> UUID:
        return self.id


router = Router("things")
HANDLERS = Handlers()


@router.post("/things", only("owner", "editor"), status=201)
async def make_thing(tx: TxDep, body: ThingIn) -> ThingOut:
    thing = Thing(id=new_id(), title=body.title)
    tx.session.add(thing)
    tx.publish(ThingMade(id=thing.id, title=thing.title, by=tx.by))
    if body.fail_after_write:
        await tx.flush()
        raise refuse("forbidden", "asked to fail")
    return ThingOut(id=thing.id, version=1, title=thing.title, secret="shown once")


@router.post("/things/{thing_id}/rename", SIGNED_IN)
async def rename_thing(tx: TxDep, thing_id: UUID, body: ThingIn, if_match: IfMatch) -> ThingOut:
    thing = await tx.session.get(Thing, thing_id, with_for_update=True)
    if thing is None:
        raise not_found("thing")
    if_match.check(thing.version)
    thing.title, thing.version = body.title, thing.version + 1
    tx.publish(ThingMade(id=thing.id, title=thing.title, by=tx.by))
    return ThingOut(id=thing.id, version=thing.version, title=thing.title)


@router.get("/things", SIGNED_IN)
async def list_things(tx: TxDep, paging: Paging, q: str | None = None) -> Page[ThingOut]:
    rows = select(Thing)
    if q:
        rows = rows.where(Thing.title.contains(q))  # type: ignore[attr-defined]
    found, after = await page(tx.session, rows, [Thing.id], paging, descending=True)  # type: ignore[list-item]
    return Page(items=[ThingOut(id=t.id, version=t.version, title=t.title) for t in found], next=after)


@router.get("/things/{thing_id}", SIGNED_IN)
async def get_thing(tx: TxDep, thing_id: UUID) -> ThingOut:
    thing = await tx.session.get(Thing, thing_id)
    if thing is None:
        raise not_found("thing")
    return ThingOut(id=thing.id, version=thing.version, title=thing.title)


@router.get("/me", SIGNED_IN)
async def me(caller: CallerDep) -> dict[str, Any]:
    return {"sub": caller.sub, "roles": sorted(caller.roles)}


@router.get("/open", PUBLIC)
async def anybody() -> dict[str, str]:
    return {"hello": "world"}


@HANDLERS.on(ThingMade)
async def thing_made(tx: Tx, event: ThingMade) -> None:
    if event.title.startswith("poison"):
        raise RuntimeError("cannot handle this")
    assert tx.cause is not None
    tx.session.add(Heard(id=tx.cause.id, thing_id=event.id, sequence=tx.cause.sequence, title=event.title))


class ProbeSettings(ServiceSettings):
    service: ClassVar[str] = "probe"


def build(settings: ProbeSettings) -> Service:
    return Service(
        settings=settings,
        routers=[router],
        metadata=Base.metadata,
        kernel=KERNEL,
        migrations=FOLDER,
        topics=[TOPIC],
        publishes=[ThingMade],
        handlers=HANDLERS,
    )


class Probe:
    """A running probe."""

    def __init__(self, running: Running, client: httpx.AsyncClient, issuer: Issuer, loops: run.Loops) -> None:
        self.running, self.client, self.issuer, self.loops = running, client, issuer, loops

    def as_owner(self, **claims: Any) -> dict[str, str]:
        return self.issuer.headers("owner", institution_id=uuid4(), **claims)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.running.database.background_session() as session:
            return list((await session.execute(text(sql), values)).all())

    async def rows_committed(self, sql: str) -> None:
        async with self.running.database.background_session() as session:
            await session.execute(text(sql))
            await session.commit()

    async def count(self, table: Any) -> int:
        async with self.running.database.background_session() as session:
            return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def probe_database(parts: Parts) -> str:
    """URL of a database with the probe's tables."""
    url = await parts.new_database("probe")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(text("insert into epoch values (1)"))
    await engine.dispose()
    return url


@asynccontextmanager
async def running_probe(
    parts: Parts, *, url: str | None = None, prefix: str | None = None, **settings: Any
) -> AsyncIterator[Probe]:
    """A probe on a fresh database and topic prefix, or on those of an earlier one."""
    url = url or await probe_database(parts)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        values: dict[str, Any] = {
            "instance": "test",
            "embedded": True,
            "home": Path(home),
            "port": free_port(),
            "database_url": SecretStr(url),
            "kafka_bootstrap": parts.bootstrap,
            "topic_prefix": prefix if prefix is not None else f"p{uuid4().hex[:8]}.",
            "issuer": ISSUER,
        }
        issuer = Issuer()
        service = build(ProbeSettings(**(values | settings)))
        loops = await run.start(service, keys=issuer)
        stack.push_async_callback(run.stop, [loops])
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=service.settings.base_url, timeout=30, trust_env=False)
        )
        yield Probe(loops.running, client, issuer, loops)
