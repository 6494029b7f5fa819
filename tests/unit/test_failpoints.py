"""Failpoints do nothing unless they are named, and only embedded mode may name one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from shared.ops import failpoints
from shared.ops.settings import ServiceSettings


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


def test_nothing_happens_where_none_is_armed() -> None:
    failpoints.reach("relay.acknowledged")
    failpoints.arm("relay.read=fail")
    failpoints.reach("relay.acknowledged")


def test_one_fails_at_the_wanted_passing_alone() -> None:
    failpoints.arm("relay.acknowledged=fail@3")
    failpoints.reach("relay.acknowledged")
    failpoints.reach("relay.acknowledged")
    with pytest.raises(ConnectionError, match=r"relay\.acknowledged"):
        failpoints.reach("relay.acknowledged")
    failpoints.reach("relay.acknowledged")


def test_one_without_a_number_fails_each_time() -> None:
    failpoints.arm("api.answered=fail")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            failpoints.reach("api.answered")


def test_one_that_blocks_holds_up_the_whole_process() -> None:
    failpoints.arm("consumer.handled=block:0.05@1")
    begun = time.monotonic()
    failpoints.reach("consumer.handled")
    assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize("spec", ["relay.nowhere=kill", "relay.read=explode", "relay.read", "relay.read=kill@x"])
def test_what_is_not_known_is_refused(spec: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(embedded=True, failpoints=spec)


def test_outside_embedded_mode_they_are_refused() -> None:
    assert ServiceSettings(embedded=True, failpoints="relay.read=kill").failpoints
    with pytest.raises(ValidationError, match="embedded mode only"):
        ServiceSettings(failpoints="relay.read=kill")
