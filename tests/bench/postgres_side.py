"""The same rules asked of PostgreSQL: facets as an array and words as a text vector, both under GIN.

Candidates are the rows of the need's ISIC division, and those with one of its most telling words; all rules and
criteria are then worked out over these. Words count by `ts_rank`, the server's own measure, so its order differs
from the exact one. Track record, responsiveness and evidence come in steps, as for tantivy.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from services.matching.engine import criteria
from services.matching.engine.inputs import isic_line, isic_rank
from services.matching.engine.model import hs_chapters
from services.matching.engine.providing import BY_COUNTRY, ProvidingValues
from shared.local.postgres import Postgres
from shared.reference.classifications import sdg_goal_of
from tests.bench.synthetic import ON
from tests.bench.tantivy_side import RECORD, ROWS, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.matching.engine.index import Index
    from services.matching.engine.model import NeedFacts
    from services.matching.engine.prepared import PreparedNeed
    from tests.bench.tantivy_side import TantivySide

TELLING = 8
"""Words of a need by which candidates are found; its commonest ones would make nearly every row a candidate."""
TABLE = """
create unlogged table offer (
    id text, country text, record real, facets text[], body text,
    words tsvector generated always as (to_tsvector('simple', body)) stored
)"""
INDEXES = (
    "create index on offer using gin (facets)",
    "create index on offer using gin (words)",
    "vacuum analyze offer",
)


class Server(Postgres):
    """With memory for a million rows."""

    def _settings(self) -> list[str]:
        more = {"shared_buffers": "1GB", "work_mem": "128MB", "maintenance_work_mem": "512MB", "max_wal_size": "8GB"}
        return [*super()._settings(), *(part for name, value in more.items() for part in ("-c", f"{name}={value}"))]


class PostgresSide:
    """The capabilities of an index in a server of its own, and needs as queries."""

    name = "PostgreSQL"

    def __init__(self, index: Index, described: TantivySide) -> None:
        self._index, self._described = index, described
        self._providing = ProvidingValues(index.store.providers, index.scorer.frame)
        self._folder = tempfile.TemporaryDirectory()
        Path(self._folder.name).chmod(0o755)
        self._runner = asyncio.Runner()
        self._server = Server(Path(self._folder.name), None, durable=False)
        self._runner.run(self._fill())

    async def _fill(self) -> None:
        await self._server.start()
        self._connection = await asyncpg.connect(self._server.url("postgres").replace("+asyncpg", ""))
        await self._connection.execute(TABLE)
        rows = len(self._index.store.rows)
        for first in range(0, rows, ROWS):
            records = list(self._records(first, min(first + ROWS, rows)))
            names = ["id", "country", "record", "facets", "body"]
            await self._connection.copy_records_to_table("offer", records=records, columns=names)
        for statement in INDEXES:
            await self._connection.execute(statement)

    def _records(self, first: int, until: int) -> Iterator[tuple[Any, ...]]:
        for key, facets, words in self._described.described(first, until):
            country = next(facet for facet in facets if facet.startswith("from:")).removeprefix("from:")
            steps = sum(facet.startswith("record:") for facet in facets)
            kept = [facet for facet in facets if not facet.startswith(("from:", "record:"))]
            yield key, country, steps / STEPS, kept, " ".join(_plain(word) for word in words)

    def close(self) -> None:
        """Ends the server."""
        self._runner.run(self._connection.close())
        self._runner.run(self._server.stop())
        self._runner.close()
        self._folder.cleanup()

    def top(self, need: NeedFacts, k: int) -> list[str]:
        """Ids of the k best."""
        query, values = self._query(need, k)
        return [row["id"] for row in self._runner.run(self._connection.fetch(query, *values))]

    # A need as a query

    def _query(self, need: NeedFacts, k: int) -> tuple[str, list[Any]]:
        prepared = self._index.scorer.prepare(need, ON)
        weights, values = prepared.weights, self._providing.country_values(prepared)
        countries, of_country = [], []
        for number, country in enumerate(self._index.store.providers.countries.values):
            if country is not None and values["welcome"][number]:
                countries.append(country)
                of_country.append(sum(weights[name] * values[name][number] for name in BY_COUNTRY if name in weights))
        said = [_plain(term.term) for term in prepared.query]
        parameters = [countries, of_country, self._served(need), self._useful(need), self._division(prepared)]
        parameters += [" | ".join(said[:TELLING]), " | ".join(said)]
        score = [f"{sum(weights.get(name, 0.0) for name in RECORD)} * record", "worth"]
        score += [f"{weights.get('text', 0.0)} * ts_rank(words, $7::tsquery)", self._sector(prepared)]
        score += [
            f"case when facets && '{_array(some)}' then {worth} else 0 end" for some, worth in _worths(need, weights)
        ]
        query = f"""
            select id from offer join unnest($1::text[], $2::float8[]) as giver(country, worth) using (country)
            where facets @> '{{offered}}' and facets && $3::text[] and facets && $4::text[]
              and (facets && $5::text[] or words @@ $6::tsquery)
            order by {" + ".join(score)} desc limit {k}"""  # noqa: S608 (numbers and codes of our own)
        return query, parameters

    def _served(self, need: NeedFacts) -> list[str]:
        world = self._index.scorer.frame.world
        blocs = [f"bloc:{bloc}" for bloc in world.blocs(need.country, ON)]
        return [f"country:{need.country}", *blocs, *(["all_south"] if world.is_south(need.country, ON) else [])]

    def _useful(self, need: NeedFacts) -> list[str]:
        """Goods in common are not asked for here, which makes the query easier."""
        return [f"kind:{kind}" for kind in need.resource_kinds]

    def _division(self, prepared: PreparedNeed) -> list[str]:
        lines = _lines(prepared.need.isic + prepared.implied, 2)
        return [f"{name}:{line}" for name in ("isic", "implied") for line in lines]

    def _sector(self, prepared: PreparedNeed) -> str:
        """The deepest category in common, stated by both or else implied."""
        weight, factor = prepared.weights.get("sector", 0.0), self._index.policy.implied_factor
        stated, either = prepared.need.isic, prepared.need.isic + prepared.implied
        return f"greatest({_case(stated, ('isic',), weight)}, {_case(either, ('isic', 'implied'), weight * factor)})"


def _lines(codes: Sequence[str], rank: int) -> list[str]:
    return sorted({line for code in codes for line in isic_line(code) if isic_rank(line) == rank})


def _case(codes: Sequence[str], names: Sequence[str], weight: float) -> str:
    cases = ""
    for rank in (4, 3, 2, 1):
        facets = [f"{name}:{line}" for name in names for line in _lines(codes, rank)]
        worth = weight * criteria.DEPTH_VALUES[rank]
        cases += f" when facets && '{_array(facets)}' then {worth}" if facets else ""
    return f"case{cases} else 0 end" if cases else "0"


def _worths(need: NeedFacts, weights: dict[str, float]) -> Iterator[tuple[list[str], float]]:
    """Facets any of which is worth something."""
    for kind in need.resource_kinds:
        yield [f"kind:{kind}"], weights["resources"] / len(need.resource_kinds)
    for target in need.sdg_targets:
        half = 0.5 * weights["sdg"] / len(need.sdg_targets)
        yield from (([facet], half) for facet in (f"target:{target}", f"goal:{sdg_goal_of(target)}"))
    for chapter in hs_chapters(need.hs):
        yield [f"chapter:{chapter}"], weights["goods"] / len(hs_chapters(need.hs))
    yield [f"language:{language}" for language in need.languages], weights["language"]


def _array(words: Sequence[str]) -> str:
    return "{" + ",".join(words) + "}"


def _plain(term: str) -> str:
    """A term as one word of a text vector."""
    return term.replace("~", "concept")
