"""A network between the services and Kafka that is slow, silent, half open or resets everything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from shared.messaging.watchdog import ANSWER_SECONDS
from tests.faults.checker import Sight
from tests.faults.striking import lasting
from tests.faults.tools.network import done, healed_at_the_end, resets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.striking import Ground

    Recorder = Callable[[str, object], None]

pytestmark = [pytest.mark.asyncio, pytest.mark.long]


async def test_lost_answers_to_produce_requests_cost_duplicates_only(ground: Ground, record_property: Recorder) -> None:
    proxies = list(ground.system.proxies.values())
    with healed_at_the_end(proxies):
        async with ground.load() as load:
            await load.under_way()
            for proxy in proxies:
                proxy.swallow = 1
        ended = time.monotonic()
        happened = done(proxies, "swallowed")
    await ground.judge("answers to produce requests lost", happened, record_property, ended=ended)


async def test_a_slow_network_slows_and_nothing_more(ground: Ground, record_property: Recorder) -> None:
    proxies = list(ground.system.proxies.values())
    with healed_at_the_end(proxies):
        for proxy in proxies:
            proxy.latency_seconds = 0.15
        async with ground.load():
            pass
        ended = time.monotonic()
        happened = done(proxies, "delayed")
    await ground.judge("network with 150 ms each way", happened, record_property, ended=ended)


@pytest.mark.parametrize(
    ("seconds", "kind"), [(12, "stalled"), (12, "lost"), (60, "stalled")], ids=["stalled", "half-open", "stalled-long"]
)
async def test_a_silent_network_is_seen_and_everything_arrives_afterwards(
    ground: Ground, record_property: Recorder, seconds: float, kind: str
) -> None:
    proxies = list(ground.system.proxies.values())
    with healed_at_the_end(proxies):
        async with ground.load() as load:
            await load.under_way()
            begun = time.monotonic()
            for proxy in proxies:
                (proxy.stall if kind == "stalled" else proxy.go_deaf)()
            sight = await ground.system.sees("registry", "no broker reachable")
            await lasting(begun, seconds)
            for proxy in proxies:
                proxy.heal()
            ended = time.monotonic()
        happened = done(proxies, kind)
    seen = Sight(f"network {kind}", sight[0], sight[1], "no broker reachable")
    await ground.judge(f"network {kind} for {seconds} s", happened, record_property, ended=ended, sights=(seen,))


async def test_connections_that_are_reset_again_and_again(ground: Ground, record_property: Recorder) -> None:
    proxies = list(ground.system.proxies.values())
    with healed_at_the_end(proxies):
        async with resets(proxies, 0.7), ground.load() as load:
            await load.under_way(80, 120)  # it goes on, but how fast depends on the machine
        ended = time.monotonic()
        happened = done(proxies, "reset")
    await ground.judge("connections reset every 0.7 s", happened, record_property, ended=ended)


async def test_connections_that_never_last_long_enough_for_a_client_to_start(
    ground: Ground, record_property: Recorder
) -> None:
    """What a client needs to start takes longer than they last, so it goes on with the one that it has."""
    proxies = list(ground.system.proxies.values())
    with healed_at_the_end(proxies):
        for proxy in proxies:
            proxy.latency_seconds = 0.06
        begun = time.monotonic()
        async with resets(proxies, 0.7):
            await lasting(begun, ANSWER_SECONDS + 10)  # idle requests are never answered
            async with ground.load() as load:
                await load.under_way(80, 120)
                for proxy in proxies:
                    proxy.latency_seconds = 0.0
        ended = time.monotonic()
        happened = done(proxies, "reset")
    await ground.judge("reset every 0.7 s, 120 ms there and back", happened, record_property, ended=ended)
