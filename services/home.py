"""What `bandung up` leaves in its home for people, tests and the other commands."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from shared.service import Service

ENVIRONMENT_FILE = "environment.json"


def local_document(
    *,
    instance: str,
    endpoints: dict[str, str],
    kafka: str,
    keys: list[dict[str, Any]],
    started_at: datetime,
    pids: dict[str, int | None],
) -> dict[str, Any]:
    """The content of `local.json` (contract, sections 0 and 18)."""
    return {
        "instance": instance,
        "endpoints": endpoints,
        "kafka": kafka,
        "keys": keys,
        "started_at": started_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "pids": pids,
    }


def environment_document(services: Sequence[Service]) -> dict[str, str]:
    """Settings by which the other commands find this system's databases; as secret as the home itself."""
    shared = {"BANDUNG_KAFKA_BOOTSTRAP": services[0].settings.kafka_bootstrap, "BANDUNG_EMBEDDED": "true"}
    own = {f"{s.name.upper()}_DATABASE_URL": s.settings.database_url.get_secret_value() for s in services}
    ports = {f"{s.name.upper()}_PORT": str(s.settings.listen_port) for s in services}
    issuer = {"BANDUNG_ISSUER": services[0].settings.issuer, "BANDUNG_INSTANCE": services[0].settings.instance}
    return shared | own | ports | issuer


def write_private(file: Path, document: Any) -> None:  # noqa: ANN401 (any JSON)
    """Atomically, readable by the owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(document, out, indent=2)
    temporary.replace(file)
