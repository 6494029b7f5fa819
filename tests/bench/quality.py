"""`make bench-quality`: how well the engine ranks, against plain systems, by slice, and what its means bring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.matching.engine.index import Index
from services.matching.engine.lexicon import Lexicon, default_lexicon
from services.matching.engine.policy import CRITERIA, POLICY_1, Policy
from services.matching.engine.score import Scorer
from tests.bench import plain
from tests.bench.labelled import ON, Judgements, Labelled, labelled, stories
from tests.bench.measures import FIRST, Quality, Run, quality, recall
from tests.bench.weights import cross_validated, valued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.labelled import Judgement

WITHOUT_LEXICON = Lexicon.of([])
SLICES: dict[str, Callable[[Judgement], bool]] = {
    "text in another language": lambda judged: "another language" in judged.note,
    "says it in other words": lambda judged: "other words" in judged.note,
    "codes missing": lambda judged: "codes missing" in judged.note,
}


def index_of(of: Labelled, policy: Policy = POLICY_1, lexicon: Lexicon | None = None) -> Index:
    """The set in an index, with term statistics frozen over all of it."""
    words = lexicon or default_lexicon()
    index = Index(Scorer(policy, lexicon=words))
    for institution in of.institutions:
        index.put_institution(institution)
    for capability in of.capabilities:
        index.put_capability(capability)
    index.use(Scorer(policy, index.statistics(1), lexicon=words))
    return index


def run_of(of: Labelled, policy: Policy = POLICY_1, lexicon: Lexicon | None = None) -> Run:
    """What the engine would propose to each need."""
    index = index_of(of, policy, lexicon)
    return {need.id: [found.capability_id for found in index.rank(need, ON, FIRST)] for need in of.needs}


def without(criterion: str) -> Policy:
    """The policy with this criterion switched off and its weight spread over the rest."""
    rest = 1.0 - POLICY_1.weights[criterion]
    weights = {name: 0.0 if name == criterion else weight / rest for name, weight in POLICY_1.weights.items()}
    return replace(POLICY_1, weights=weights)


def ablations() -> Iterator[tuple[str, Policy, Lexicon | None]]:
    """What is taken away, and the policy and lexicon that are left."""
    for criterion in CRITERIA:
        yield f"without {criterion}", without(criterion), None
    yield "without the concept lexicon", POLICY_1, WITHOUT_LEXICON
    yield "concepts weigh like words", replace(POLICY_1, concept_boost=1.0), None
    yield "title weighs like the problem", replace(POLICY_1, focus_boost=1.0), None
    yield "without sectors implied by words", replace(POLICY_1, implied_factor=0.0), None


def slices(of: Labelled, run: Run) -> Iterator[tuple[str, Quality]]:
    """Quality on the needs that have a wanted pair of the slice; the recall is that of the slice's own pairs."""
    for name, belongs in SLICES.items():
        pairs = {
            need: [c for c, judged in judgements.items() if judged.wanted and belongs(judged)]
            for need, judgements in of.judgements.items()
        }
        needs = [need for need, wanted in pairs.items() if wanted]
        found = sum(recall(run[need], pairs[need]) for need in needs) / len(needs)
        yield f"{name} ({len(needs)} needs)", replace(quality(run, _only(of, needs)), recall=found)
    trade = [need.id for need in of.needs if "trade" in need.resource_kinds]
    yield f"trade ({len(trade)} needs)", quality(run, _only(of, trade))


def _only(of: Labelled, needs: list[str]) -> Judgements:
    return {need: of.judgements[need] for need in needs}


def story_ranks(of: Labelled) -> dict[str, int | None]:
    """Place of the real provider's offer for each real need among all offers; None when it is not in the first ten."""
    told = stories()
    together = replace(
        of,
        capabilities=[*of.capabilities, *(story.capability for story in told)],
        institutions=[*of.institutions, *(story.provider for story in told)],
    )
    index = index_of(together)
    ranks: dict[str, int | None] = {}
    for story in told:
        first = [found.capability_id for found in index.rank(story.need, ON, FIRST)]
        ranks[story.id] = first.index(story.capability.id) + 1 if story.capability.id in first else None
    return ranks


def _row(name: str, found: Quality, against: Quality | None = None) -> None:
    change = f"{found.ndcg - against.ndcg:+9.4f}" if against else ""
    print(f"{name:44}{found.ndcg:9.4f}{found.recall:10.4f}{found.ineligible:12}{change}")


def main() -> None:
    """Prints the tables."""
    of = labelled()
    run = run_of(of)
    engine = quality(run, of.judgements)
    print(f"{'':44}{'nDCG@10':>9}{'recall@10':>10}{'ineligible':>12}{'change':>9}")
    for name, plain_run in plain.runs(of).items():
        _row(f"{name}, eligible pairs", quality(plain_run, of.judgements))
    _row("engine", engine)
    print("\nBy slice")
    for name, found in slices(of, run):
        _row(name, found)
    print("\nTaken away")
    for name, policy, lexicon in ablations():
        _row(name, quality(run_of(of, policy, lexicon), of.judgements), engine)
    print("\nWeights chosen on four fifths of the needs, measured on the last fifth")
    for name, ndcg in zip(
        ("cross-validated", "best for all needs", "middling"), cross_validated(valued(of)), strict=True
    ):
        print(f"{name:44}{ndcg:9.4f}")
    print("\nReal partnerships: place of the provider that was chosen, among all offers")
    for story, rank in story_ranks(of).items():
        print(f"{story:44}{rank or 'not in the first ten':>9}")


if __name__ == "__main__":
    main()
