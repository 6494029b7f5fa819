"""Stopping, starting again, and doing without Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.compose.containers import PARTS
from tests.e2e.story import Story
from tests.e2e.world import World
from tests.support.system import SERVICES
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.compose.containers import Containers

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRACE_SECONDS = 15
SIGTERM_EXIT = 143


async def test_a_service_starts_and_answers_while_kafka_is_absent(stack: Containers) -> None:
    stack.compose("stop", "kafka")
    await stack.restarted(await stack.kill9("registry"))
    await eventually(lambda: degraded(stack, "registry"))
    made = await World(stack).registered()
    stack.compose("start", "kafka")
    await eventually(lambda: was_told(stack, made.id))
    await stack.all_ready()


async def was_told(stack: Containers, institution_id: str) -> bool:
    """Kafka has what was written while it was away, once."""
    records = await stack.records("registry.institutions")
    return [record.type for record in records if record.key == institution_id] == ["InstitutionRegistered"]


async def degraded(stack: Containers, service: str) -> bool:
    """It serves, and says that Kafka is away."""
    url = f"{stack.local['endpoints'][service]}/readyz"
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            answer = await client.get(url)
        except httpx.TransportError as error:
            raise AssertionError(repr(error)) from error
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (200, "degraded"), shown
    return bool(shown["checks"]["kafka"]["status"] == "failing")


async def test_every_part_stops_in_order_within_its_grace(stack: Containers) -> None:
    table = []
    for service in PARTS:
        begun = time.monotonic()
        stack.compose("stop", service)
        seconds = time.monotonic() - begun
        state = stack.inspect(service)["State"]
        table.append(f"{service:<16} {seconds:>6.1f} s   exit {state['ExitCode']}")
        assert state["ExitCode"] in (0, SIGTERM_EXIT), state
        assert state["OOMKilled"] is False
        assert seconds < GRACE_SECONDS
        stack.compose("start", service)
    print("\nstopped          after\n" + "\n".join(table))
    await stack.all_ready()


async def test_down_and_up_keep_data_secrets_and_keys(stack: Containers) -> None:
    story = Story(stack)
    await story.play()
    told = await story.holds()
    kept = {file: file.read_bytes() for file in (stack.local_file, *(stack.home / "secrets").iterdir())}
    assert stack.run("down").returncode == 0
    assert stack.compose("ps", "--all", "--quiet") == ""
    stack.up("--no-build")
    assert {file: file.read_bytes() for file in kept} == kept
    await stack.all_ready()
    assert await story.holds() == told
    await story.repeat()
    assert await story.holds() == told


async def test_a_second_up_changes_nothing(stack: Containers) -> None:
    before = {service: stack.inspect(service)["State"]["StartedAt"] for service in (*SERVICES, "kafka", "postgres")}
    local = stack.local_file.read_bytes()
    said = stack.up("--no-build")
    assert {service: stack.inspect(service)["State"]["StartedAt"] for service in before} == before
    assert stack.local_file.read_bytes() == local
    for key in stack.local["keys"]:
        assert key["client_secret"] in said
