"""Explanations recompute equal: every one of 10,000 matches, after the market, the policy and the process changed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from services.matching.engine.policy import POLICY_1
from services.matching.engine.score import Scorer, recompute
from tests.bench.synthetic import ON, Offers, market, needs

if TYPE_CHECKING:
    from pathlib import Path

    from services.matching.engine.index import Index

MATCHES, K = 10_000, 10
RECOMPUTE = """
import json, sys
from services.matching.engine.score import recompute

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
print(sum(recompute(stored) == stored["score"] for stored in lines), len(lines))
"""


def _proposed(index: Index, at_least: int) -> list[str]:
    """What matches store, as JSON."""
    found: list[str] = []
    for need in needs(at_least // K * 2):
        found += [json.dumps(scored.explanation()) for scored in index.rank(need, ON, K)]
        if len(found) >= at_least:
            break
    return found


def test_every_match_of_a_large_market_recomputes_equal_for_ever(tmp_path: Path) -> None:
    index = market(3000)
    stored = _proposed(index, MATCHES)
    assert len(stored) >= MATCHES

    index.store.extend(Offers(index.store, seed=9).block(1_000_000, 10_000))
    weights = dict.fromkeys(POLICY_1.weights, 1 / len(POLICY_1.weights))
    other = replace(POLICY_1, version=2, weights=weights, bm25_k1=2.0, prior=0.1, implied_factor=0.3)
    index.use(Scorer(other, index.statistics(2), world=index.scorer.frame.world, lexicon=index.scorer.lexicon))
    again = [json.loads(line) for line in _proposed(index, K)]
    assert {a["score"] for a in again}.isdisjoint(json.loads(line)["score"] for line in stored[:K]), "all has changed"
    assert all(recompute(a) == a["score"] for a in again)

    kept = tmp_path / "matches.jsonl"
    kept.write_text("\n".join(stored), encoding="utf-8")
    # a process that knows nothing but what was stored
    restarted = subprocess.run([sys.executable, "-c", RECOMPUTE, str(kept)], check=True, capture_output=True, text=True)
    assert restarted.stdout.split() == [str(len(stored))] * 2
