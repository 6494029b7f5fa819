"""The same rules asked of tantivy: facets as terms of constant score, words by its own BM25 with our boosts.

What depends on the provider's country is one constant per country. Track record, responsiveness and evidence are one
number of the provider in steps of a sixteenth, as unary terms. So its order differs a little from the exact one.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import tantivy

from services.matching.engine import criteria
from services.matching.engine.inputs import isic_line, isic_rank
from services.matching.engine.model import hs_chapters
from services.matching.engine.prepared import MOST_COUNTED
from services.matching.engine.providing import BY_COUNTRY, ProvidingValues
from services.matching.engine.rows import COUNT_BITS, IMPLIED, ISIC
from shared.reference.classifications import sdg_goal_of
from tests.bench.synthetic import ON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.matching.engine.index import Index
    from services.matching.engine.model import NeedFacts
    from services.matching.engine.prepared import PreparedNeed

NAMES = ("none", "many", "kind", "chapter", "isic", "target", "goal", "language", "country", "bloc", "implied")
STEPS = 16
ROWS = 50_000
RECORD = ("track_record", "evidence", "responsiveness")
Query = tantivy.Query
Occur = tantivy.Occur


class TantivySide:
    """The capabilities of an index in tantivy, and needs as its queries."""

    name = "tantivy"

    def __init__(self, index: Index) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("facet", tokenizer_name="whitespace", index_option="basic")
        builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
        self._schema = builder.build()
        self._folder = tempfile.TemporaryDirectory()
        self._index = tantivy.Index(self._schema, path=self._folder.name)
        self._source = index
        self._providing = ProvidingValues(index.store.providers, index.scorer.frame)
        self._words = index.store.words.terms.values
        self._names = [self._name(*facet) for facet in index.store.words.facets.values]
        self._givers = [self._giver(row, steps) for row, steps in enumerate(self._record_steps().tolist())]
        self._fill()
        self._searcher = self._index.searcher()

    def _fill(self) -> None:
        writer = self._index.writer(600_000_000, 2)
        for first in range(0, len(self._source.store.rows), ROWS):
            for document in self._documents(first, min(first + ROWS, len(self._source.store.rows))):
                writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def _record_steps(self) -> np.ndarray[Any, Any]:
        """The record of each provider as a share of what the three criteria can give together."""
        policy, providers = self._source.policy, self._source.store.providers
        records = self._providing.records(ON)
        track, responsiveness, points = records.track, records.responsiveness, records.points
        total = policy.weights["track_record"] * track + policy.weights["responsiveness"] * responsiveness
        total += policy.weights["evidence"] * points / (points + policy.evidence_half_at)
        assert len(total) == len(providers)
        return np.round(total / sum(policy.weights[name] for name in RECORD) * STEPS).astype(int)

    def _documents(self, first: int, until: int) -> Iterator[tantivy.Document]:
        for key, facets, words in self.described(first, until):
            yield tantivy.Document(id=key, facet=" ".join(facets), words=" ".join(words))

    def described(self, first: int, until: int) -> Iterator[tuple[str, set[str], list[str]]]:
        """Some rows as (id, facets, words); all is looked up in lists, so that a million takes a minute."""
        store = self._source.store
        rows, slots = store.rows, np.arange(first, until)
        owners = rows["provider"][slots].tolist()
        offered = (rows.offered(slots, ON) & store.providers.proposable.values[owners]).tolist()
        held = _lists(rows.facets.gather(slots)[0], rows.facets.counts(slots))
        packed, begins = rows.terms.gather(slots)
        times = (packed & MOST_COUNTED).astype(np.int64)
        said = _lists(np.repeat(packed >> COUNT_BITS, times), np.add.reduceat(times, begins))
        marks = zip(offered, rows["all_south"][slots].tolist(), rows["own_languages"][slots].tolist(), strict=True)
        ids = [key.decode() for key in rows.ids.column.values[slots].tolist()]
        for key, owner, facets, terms, (is_offered, everywhere, speaks) in zip(
            ids, owners, held, said, marks, strict=True
        ):
            found = {name for number in facets for name in self._names[number]} | self._givers[owner][0]
            found |= set() if speaks else self._givers[owner][1]
            found |= ({"offered"} if is_offered else set()) | ({"all_south"} if everywhere else set())
            yield key, found, [self._words[number] for number in terms]

    def _name(self, kind: int, word: str) -> list[str]:
        """Terms of a facet; a code stands for its wider categories too."""
        return [f"{NAMES[kind]}:{wider}" for wider in (isic_line(word) if kind in {ISIC, IMPLIED} else (word,))]

    def _giver(self, row: int, record: int) -> tuple[set[str], set[str]]:
        """Terms of an institution, and its languages for offers that name none."""
        facts = self._source.store.providers.facts(row)
        steps = {f"record:{step}" for step in range(1, record + 1)}
        return steps | {f"from:{facts.country}"}, {f"language:{language}" for language in facts.languages}

    def top(self, need: NeedFacts, k: int) -> list[str]:
        """Ids of the k best."""
        hits = self._searcher.search(self._query(need), k, count=False).hits
        return [str(self._searcher.doc(address).get_first("id")) for _, address in hits]

    def close(self) -> None:
        """Removes its files."""
        self._folder.cleanup()

    # A need as a query

    def _term(self, facet: str) -> tantivy.Query:
        return Query.term_query(self._schema, "facet", facet)

    def _any(self, facets: list[str]) -> tantivy.Query:
        return Query.boolean_query([(Occur.Should, self._term(facet)) for facet in facets])

    def _worth(self, query: tantivy.Query, score: float) -> tantivy.Query:
        return Query.const_score_query(query, score)

    def _query(self, need: NeedFacts) -> tantivy.Query:
        prepared = self._source.scorer.prepare(need, ON)
        weights = prepared.weights
        parts = [(Occur.Must, self._worth(part, 0.0)) for part in self._musts(need)]
        parts += [(Occur.Should, part) for part in self._facets(need, weights)]
        parts += [(Occur.Should, self._sector(prepared, weights["sector"]))] if "sector" in weights else []
        own = sum(weights.get(name, 0.0) for name in RECORD)
        parts += [
            (Occur.Should, self._worth(self._term(f"record:{step}"), own / STEPS)) for step in range(1, STEPS + 1)
        ]
        values = self._providing.country_values(prepared)
        for number, country in enumerate(self._source.store.providers.countries.values):
            score = sum(weights[name] * values[name][number] for name in BY_COUNTRY if name in weights)
            if score > 0 and country is not None and values["welcome"][number]:
                parts.append((Occur.Should, self._worth(self._term(f"from:{country}"), score)))
        documents = self._source.scorer.frame.statistics.documents
        best = sum(t.boost * criteria.idf(documents, t.df) for t in prepared.query)
        for term in prepared.query:
            said = Query.term_query(self._schema, "words", term.term, "freq")
            parts.append((Occur.Should, Query.boost_query(said, term.boost * weights.get("text", 0.0) / best)))
        return Query.boolean_query(parts)

    def _musts(self, need: NeedFacts) -> list[tantivy.Query]:
        world = self._source.scorer.frame.world
        served = [f"country:{need.country}", *(f"bloc:{bloc}" for bloc in world.blocs(need.country, ON))]
        served += ["all_south"] if world.is_south(need.country, ON) else []
        south = self._source.store.providers.countries.values
        welcome = [
            f"from:{country}"
            for country in south
            if country and world.is_south(country, ON) and (need.domestic_welcome or country != need.country)
        ]
        kinds = [self._term(f"kind:{kind}") for kind in need.resource_kinds if kind != "trade"]
        kinds += [self._goods(need)] if "trade" in need.resource_kinds else []
        useful = Query.boolean_query([(Occur.Should, kind) for kind in kinds])
        return [self._term("offered"), self._any(served), useful, self._any(welcome)]

    def _goods(self, need: NeedFacts) -> tantivy.Query:
        goods = self._any([f"chapter:{chapter}" for chapter in hs_chapters(need.hs)])
        return Query.boolean_query([(Occur.Must, self._term("kind:trade")), (Occur.Must, goods)])

    def _facets(self, need: NeedFacts, weights: dict[str, float]) -> list[tantivy.Query]:
        kind, half = weights["resources"] / len(need.resource_kinds), 0.5 * weights["sdg"] / len(need.sdg_targets)
        found = [self._worth(self._term(f"kind:{k}"), kind) for k in need.resource_kinds if k != "trade"]
        found += [self._worth(self._goods(need), kind)] if "trade" in need.resource_kinds else []
        for target in need.sdg_targets:
            found.append(self._worth(self._term(f"target:{target}"), half))
            found.append(self._worth(self._term(f"goal:{sdg_goal_of(target)}"), half))
        for chapter in (chapters := hs_chapters(need.hs)):
            found.append(self._worth(self._term(f"chapter:{chapter}"), weights["goods"] / len(chapters)))
        spoken = self._any([f"language:{language}" for language in need.languages])
        return [*found, self._worth(spoken, weights["language"])]

    def _sector(self, prepared: PreparedNeed, weight: float) -> tantivy.Query:
        """The deepest category in common, a little less of codes that only words imply."""
        factor = self._source.policy.implied_factor
        stated, either = _categories(prepared.need.isic), _categories(prepared.need.isic + prepared.implied)
        kinds = (("isic", stated, 1.0), ("isic", either - stated, factor), ("implied", either, factor))
        values = [
            (f"{name}:{category}", weight * share * criteria.DEPTH_VALUES[isic_rank(category)])
            for name, categories, share in kinds
            for category in sorted(categories)
        ]
        return Query.disjunction_max_query([self._worth(self._term(term), value) for term, value in values])


def _categories(codes: tuple[str, ...]) -> set[str]:
    return {category for code in codes for category in isic_line(code)}


def _lists(values: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> list[list[int]]:
    """Lists of these lengths, end to end before."""
    ends, flat = np.cumsum(counts).tolist(), values.tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]
