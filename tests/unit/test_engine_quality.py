"""On the labelled set: the hard rules say what the labeller said, and the ranking is better than any plain system."""

from __future__ import annotations

import pytest

from tests.bench import plain
from tests.bench.labelled import ON, Judgement, Labelled, labelled
from tests.bench.measures import quality, recall
from tests.bench.quality import index_of, run_of, slices, story_ranks
from tests.bench.weights import cross_validated, valued


@pytest.fixture(scope="module")
def of() -> Labelled:
    return labelled()


def test_every_exclusion_has_the_reasons_that_the_labeller_gave(of: Labelled) -> None:
    index = index_of(of)
    for need in of.needs:
        said = {c: set(judged.excluded_by) for c, judged in of.judgements[need.id].items() if judged.excluded_by}
        assert {c: set(codes) for c, codes in index.excluded(need, ON)} == said, need.id


def test_nothing_ineligible_is_proposed_and_no_plain_system_ranks_as_well(of: Labelled) -> None:
    engine = quality(run_of(of), of.judgements)
    assert engine.ineligible == 0
    for name, run in plain.runs(of).items():
        other = quality(run, of.judgements)
        assert engine.ndcg > other.ndcg + 0.03, name
        assert engine.recall > other.recall, name


def test_the_quality_is_not_that_of_weights_fitted_to_the_set(of: Labelled) -> None:
    """The target holds on needs that had no say in the choice of weights, and the engine's are no lucky ones."""
    left_out, best, middling = cross_validated(valued(of))
    assert left_out >= 0.93
    assert middling <= quality(run_of(of), of.judgements).ndcg <= best


def test_no_slice_falls_behind(of: Labelled) -> None:
    for name, found in slices(of, run_of(of)):
        assert found.ndcg > 0.85, name


def test_most_real_partners_are_among_the_first_ten(of: Labelled) -> None:
    ranks = story_ranks(of)
    assert sum(rank is not None for rank in ranks.values()) >= 0.8 * len(ranks), ranks


def test_the_measures_on_a_ranking_worked_out_by_hand() -> None:
    best, good, none = (Judgement(grade, frozenset(), "") for grade in (3, 2, 0))
    judged = {"n": {"a": best, "b": good, "c": none, "d": Judgement(3, frozenset({"provider_suspended"}), "")}}
    perfect = quality({"n": ["a", "b"]}, judged)
    assert (perfect.ndcg, perfect.recall, perfect.ineligible) == (1.0, 1.0, 0)
    turned = quality({"n": ["d", "b"]}, judged)
    assert turned.ndcg == pytest.approx((3 / 1.584963) / (7 + 3 / 1.584963), abs=1e-6)
    assert (turned.recall, turned.ineligible) == (0.5, 1)
    assert quality({}, judged).ndcg == 0.0
    assert recall([], []) == 0.0
