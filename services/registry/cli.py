"""The commands of registry alone: platform keys, which only the command line makes, and the signing key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from shared.cli import AsJson, complain, inside, loaded, show

if TYPE_CHECKING:
    from services.registry.tables import KeyRow
    from shared.service import Running

T = TypeVar("T")
keys = typer.Typer(name="keys", help="Platform keys and the signing key.", no_args_is_help=True)


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="operator or verifier")],
    client_id: Annotated[str | None, typer.Option(help="Client id; made up when left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a platform key; its secret is shown now and never again."""
    from services.registry.platform_keys import ensure_platform_key
    from shared.web.auth import PLATFORM_ROLES

    if role not in PLATFORM_ROLES:
        raise complain(f"The role of a platform key is one of: {', '.join(PLATFORM_ROLES)}.")
    key = _inside(lambda running: ensure_platform_key(running, role, client_id=client_id))
    row = {"role": key.role, "client_id": key.client_id, "client_secret": key.client_secret, "status": key.status}
    show([row], as_json=as_json, title="Platform key")


@keys.command("revoke")
def revoke_key(
    client_id: Annotated[str, typer.Argument(help="Client id of the key, bdk_...")], as_json: AsJson = False
) -> None:
    """Revoke any key; the tokens it has end within 15 minutes."""
    from services.registry.commands.keys import revoke_by_client_id
    from services.registry.platform_keys import as_person
    from shared.lifecycle import Refused

    async def work(running: Running) -> KeyRow:
        async with as_person(running) as tx:
            return await revoke_by_client_id(tx, client_id)

    try:
        row = _inside(work)
    except Refused as refused:
        raise complain(f"{client_id}: {refused.detail}") from refused
    show([{"client_id": row.client_id, "role": row.role, "status": row.status}], as_json=as_json, title="Key")


@keys.command("rotate-signing-key")
def rotate_signing_key(as_json: AsJson = False) -> None:
    """Sign tokens with a new key from now on; the old one is served for another day."""
    from services.registry.signing import rotate

    async def work(running: Running) -> str:
        async with running.transactions.background() as tx:
            return await rotate(tx)

    show([{"kid": _inside(work)}], as_json=as_json, title="Signing key")


def _inside(work: Callable[[Running], Coroutine[Any, Any, T]]) -> T:
    from services.registry.app import build
    from services.registry.settings import Settings

    return inside(loaded(build, Settings), work)
