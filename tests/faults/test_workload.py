"""The load is planned from its seed."""

from __future__ import annotations

from tests.faults.workload import ENDINGS, plan


def test_the_same_seed_is_the_same_load() -> None:
    assert plan(7, 40) == plan(7, 40)
    assert plan(7, 10) == plan(7, 40)[:10]


def test_another_seed_is_another_load() -> None:
    assert plan(7, 40) != plan(8, 40)
    assert {life.words for life in plan(7, 40)}.isdisjoint(life.words for life in plan(8, 40))


def test_a_load_lives_through_every_ending_and_loses_answers() -> None:
    lives = plan(1, 60)
    assert {life.ending for life in lives} == set(ENDINGS)
    assert all(life.lost_answers for life in lives)
