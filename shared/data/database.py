"""Connections to one service's PostgreSQL, and telling a fault of the database from a fault of the data."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_SECONDS = 5.0
POOL_WAIT_SECONDS = 3.0
COMMAND_SECONDS = 30.0
# refused by the server for reasons that pass: lost connection, shutdown, lock or statement timeout, deadlock, full disk
_PASSING_CLASSES = ("08", "53", "57", "58", "40", "55P03", "25P03")


class Database:
    """Separate pools, so that a flood of requests cannot starve the consumer, nor the other way round."""

    def __init__(self, url: str, *, name: str, requests: int, background: int = 5) -> None:
        self.url = url
        self.requests = _engine(url, f"{name}-api", requests)
        self.background = _engine(url, f"{name}-background", background)
        self._request_session = async_sessionmaker(self.requests, expire_on_commit=False)
        self._background_session = async_sessionmaker(self.background, expire_on_commit=False)

    def request_session(self) -> AsyncSession:
        """A session of the request pool; takes a connection at its first statement."""
        return self._request_session()

    def background_session(self) -> AsyncSession:
        """A session for consumers, the scheduler and other work of the service itself."""
        return self._background_session()

    def pools(self) -> list[tuple[str, int, int]]:
        """Name, connections in use and connections allowed of each pool."""
        named = (("api", self.requests.pool), ("background", self.background.pool))
        return [(name, pool.checkedout(), pool.size()) for name, pool in named if isinstance(pool, QueuePool)]

    async def ping(self) -> None:
        """Raises when the database does not answer within a few seconds."""
        async with asyncio.timeout(CONNECT_SECONDS), self.background.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Closes both pools, bounded: a hanging server cannot hold up a shutdown."""
        await asyncio.gather(_dispose(self.requests), _dispose(self.background))


async def _dispose(engine: AsyncEngine) -> None:
    try:
        async with asyncio.timeout(1):
            await engine.dispose()
    except (TimeoutError, OSError, DBAPIError):
        await engine.dispose(close=False)


def _engine(url: str, name: str, size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=False,  # a dead connection shows at its first statement and is answered by a retry or 503
        pool_use_lifo=True,
        hide_parameters=True,  # values of a failing statement do not belong in logs
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": COMMAND_SECONDS,
            "server_settings": server_settings(name),
        },
    )


def server_settings(name: str) -> dict[str, str]:
    """Session settings of every connection: no statement, lock or idle transaction lasts for ever."""
    return {
        "application_name": f"bandung-{name}",
        "timezone": "UTC",
        "statement_timeout": "20s",
        "lock_timeout": "8s",
        "idle_in_transaction_session_timeout": "30s",
        "jit": "off",
    }


@asynccontextmanager
async def direct_connection(url: str, name: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own outside every pool, for session locks."""
    connection: asyncpg.Connection = await asyncpg.connect(
        url.replace("postgresql+asyncpg", "postgresql"),
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=server_settings(name),
    )
    try:
        yield connection
    finally:
        connection.terminate()


def is_passing(error: BaseException) -> bool:
    """Whether an error is the infrastructure's (try again later) and not the data's."""
    if isinstance(error, PoolTimeoutError | InterfaceError | TimeoutError | ConnectionError | asyncpg.InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlstate", None) or ""
        return error.connection_invalidated or isinstance(error, OperationalError) or code.startswith(_PASSING_CLASSES)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING_CLASSES)
    return isinstance(error, OSError)


def refusal(error: BaseException) -> str:
    """The server's words when it knows no such user, password or database; empty for any other error."""
    cause = (error.orig or error) if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlstate", None) or ""
    return str(cause.__cause__ or cause) if code.startswith("28") or code == "3D000" else ""
