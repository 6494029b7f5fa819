"""`python -m services.registry`: the commands of every service, and the keys that only the command line makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from services.registry.app import build
from services.registry.platform_keys import ensure_platform_key
from services.registry.settings import Settings
from services.registry.signing import rotate
from shared.cli import AsJson, commands, show
from shared.service import Running

app = commands(build, Settings)
keys = typer.Typer(help="Platform keys and signing keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="operator or verifier")],
    client_id: Annotated[str | None, typer.Option(help="Client id; made up when left out")] = None,
    as_json: AsJson = False,  # noqa: FBT002 (typer option)
) -> None:
    """Make a platform key; its secret is shown now and never again."""
    key = _inside(lambda running: ensure_platform_key(running, role, client_id=client_id))
    show([{"role": key.role, "client_id": key.client_id, "client_secret": key.client_secret}], as_json=as_json, title="Key")


@keys.command("rotate-signing-key")
def rotate_signing_key(as_json: AsJson = False) -> None:  # noqa: FBT002 (typer option)
    """Sign tokens with a new key from now on; the old one is served for another day."""

    async def work(running: Running) -> str:
        async with running.transactions.background() as tx:
            return await rotate(tx)

    show([{"kid": _inside(work)}], as_json=as_json, title="Signing key")


def _inside(work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401
    async def inside() -> Any:  # noqa: ANN401
        running = Running(build(Settings()))
        try:
            return await work(running)
        finally:
            await running.close()

    return asyncio.run(inside())


if __name__ == "__main__":
    app()
