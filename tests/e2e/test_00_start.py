"""Contract, section 0: what is there when `bandung up` says so."""

from __future__ import annotations

import json
import stat
from urllib.parse import urlsplit

import pytest

from tests.e2e.world import moment
from tests.support.system import System

pytestmark = pytest.mark.asyncio


async def test_local_json_names_everything_a_stranger_needs(system: System) -> None:
    local = json.loads(system.local_file.read_text())
    assert local["instance"] == "local"
    assert set(local["endpoints"]) == {"console", "registry", "matching", "projects", "notifications"}
    assert {urlsplit(url).hostname for url in local["endpoints"].values()} == {"127.0.0.1"}
    assert local["kafka"].startswith("127.0.0.1:")
    assert set(local["pids"]) == {"bandung", "postgres", "kafka"}
    moment(local["started_at"])


async def test_local_json_is_for_its_owner_only(system: System) -> None:
    assert stat.S_IMODE(system.local_file.stat().st_mode) == 0o600


async def test_local_json_holds_an_operator_and_a_verifier_key(system: System) -> None:
    keys = {key["name"]: key for key in system.local["keys"]}
    assert {name: key["roles"] for name, key in keys.items()} == {"operator": ["operator"], "verifier": ["verifier"]}
    assert all(key["client_id"].startswith("bdk_") and key["client_secret"].startswith("bds_") for key in keys.values())


async def test_all_five_are_ready(system: System) -> None:
    codes = {name: (await system.client(name).get("/readyz")).status_code for name in system.local["endpoints"]}
    assert set(codes.values()) == {200}, codes
