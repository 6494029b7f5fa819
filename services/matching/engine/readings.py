"""What capabilities say, worked out once and kept beside them: rows of an index as bytes, and back.

A reading is of one version of one capability, by one edition of the engine. Its numbers stand for words of a
vocabulary that outlives the process; those of an index are given anew with every start.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import ID_TYPE, Slots
from services.matching.engine.rows import COUNT_BITS, HEADER, Block
from services.matching.engine.store import Store
from shared.reference import classifications

Word = tuple[int, str]
"""A kind of facet and its word, or TERM and a term."""
TERM = -1

_FROM_HEADER = ("version", "renew_by", "capacity", "length", "evidence", "published", "all_south", "own_languages")
HEAD = np.dtype(
    [("facets", "<u4"), ("terms", "<u4"), *((name, HEADER[name].newbyteorder("<")) for name in _FROM_HEADER)]
)
"""The head of a reading: how many facets and terms it has, and members of the row that its version settles."""
_NUMBERS = np.dtype("<u4")


@cache
def edition() -> str:
    """What readings depend on, as 16 hexadecimal digits: all of the engine's files, and Python's Unicode tables."""
    digest = hashlib.sha256(unicodedata.unidata_version.encode())
    here = Path(__file__).parent
    read = [path for path in here.rglob("*") if path.suffix in {".py", ".txt"}]
    for path in (*sorted(read), Path(classifications.__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Reading(NamedTuple):
    """One row, as it is stored."""

    capability_id: str
    version: int
    head: bytes
    facets: bytes
    terms: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """Some rows of a store on their way out, with the numbers of that store."""

    header: NDArray[Any]
    facets: NDArray[np.uint16]
    facet_counts: Slots
    terms: NDArray[np.uint32]
    term_counts: Slots
    words: dict[int, Word]
    """The facets and the terms among them, the terms by the number below nought that follows from theirs."""

    @classmethod
    def of(cls, store: Store, slots: Slots) -> "Draft":
        """These rows as they are now."""
        header = np.zeros(len(slots), dtype=HEADER)
        header["id"] = store.rows.ids.column.values[slots]
        for name in _FROM_HEADER:
            header[name] = store.rows[name][slots]
        facets, terms = store.rows.facets, store.rows.terms
        held, said = facets.gather(slots)[0], terms.gather(slots)[0]
        words = {n: store.words.facets.values[n] for n in np.unique(held).tolist()}
        words |= {~n: (TERM, store.words.terms.values[n]) for n in np.unique(said >> COUNT_BITS).tolist()}
        return cls(header, held, facets.counts(slots), said, terms.counts(slots), words)

    def written(self, numbers: Mapping[Word, int]) -> Iterator[Reading]:
        """The rows with the vocabulary's numbers, which must know all of `words`."""
        facets = _table({n: numbers[word] for n, word in self.words.items() if n >= 0})[self.facets]
        of_term = _table({~n: numbers[word] for n, word in self.words.items() if n < 0})
        terms = of_term[self.terms >> COUNT_BITS] << COUNT_BITS | self.terms & ((1 << COUNT_BITS) - 1)
        heads = np.zeros(len(self.header), dtype=HEAD)
        heads["facets"], heads["terms"] = self.facet_counts, self.term_counts
        for name in _FROM_HEADER:
            heads[name] = self.header[name]
        parts = zip(heads, _parts(facets, self.facet_counts), _parts(terms, self.term_counts), strict=True)
        for header, (head, held, said) in zip(self.header, parts, strict=True):
            yield Reading(header["id"].decode(), int(header["version"]), head.tobytes(), held, said)


@dataclass(frozen=True, slots=True)
class Page:
    """Readings end to end, with the 16 bytes of each capability's and each owner's id."""

    ids: bytes
    owners: bytes
    heads: bytes
    facets: bytes
    terms: bytes

    @property
    def last(self) -> UUID:
        """The last capability."""
        return UUID(bytes=self.ids[-16:])


class Reader:
    """Puts readings into a store that holds none of their capabilities."""

    def __init__(self, store: Store, words: Iterable[tuple[int, int, str]]) -> None:
        """Begin with the vocabulary: number, kind and word."""
        facets, terms = {}, {}
        for number, kind, word in words:
            if kind == TERM:
                terms[number] = store.words.terms.number(word)
            else:
                facets[number] = store.words.facets.number((kind, word))
        self._store, self._facets, self._terms = store, _table(facets).astype(np.uint16), _table(terms)

    def put(self, page: Page) -> None:
        """Add a page; the places taken are nought."""
        heads = np.frombuffer(page.heads, dtype=HEAD)
        header = np.zeros(len(heads), dtype=HEADER)
        for name in _FROM_HEADER:
            header[name] = heads[name]
        header["id"] = ids_of(page.ids)
        header["provider"] = self._providers(ids_of(page.owners))
        facets = self._facets[np.frombuffer(page.facets, dtype=_NUMBERS)]
        said = np.frombuffer(page.terms, dtype=_NUMBERS)
        terms = self._terms[said >> COUNT_BITS] << COUNT_BITS | said & ((1 << COUNT_BITS) - 1)
        counts = heads["facets"].astype(np.int64), heads["terms"].astype(np.int64)
        self._store.extend(Block(header, facets, counts[0], terms, counts[1]))

    def _providers(self, owners: NDArray[np.bytes_]) -> Slots:
        known, where = np.unique(owners, return_inverse=True)
        rows = self._store.providers.ids.rows(known)
        for place in np.flatnonzero(rows < 0).tolist():
            rows[place] = self._store.providers.row(known[place].decode())
        return rows[where]


def ids_of(raw: bytes) -> NDArray[np.bytes_]:
    """Ids as text, of 16 bytes each."""
    digits = _HEXADECIMAL[np.frombuffer(raw, dtype=np.uint8)].reshape(-1, 32)
    text = np.full((len(digits), 36), ord("-"), dtype=np.uint8)
    text[:, _DIGITS] = digits
    return text.view(ID_TYPE).reshape(-1)


_HEXADECIMAL = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)
_DIGITS = [place for place in range(36) if place not in {8, 13, 18, 23}]


def _table(numbers: Mapping[int, int]) -> NDArray[np.uint32]:
    """An array that gives the value of a key at its place."""
    table = np.zeros(max(numbers, default=0) + 1, dtype=np.uint32)
    table[np.fromiter(numbers.keys(), dtype=np.int64, count=len(numbers))] = list(numbers.values())
    return table


def _parts(numbers: NDArray[np.uint32], counts: Slots) -> Iterator[bytes]:
    raw, ends = numbers.astype(_NUMBERS).tobytes(), (np.cumsum(counts) * _NUMBERS.itemsize).tolist()
    yield from (raw[start:end] for start, end in zip([0, *ends], ends, strict=False))


def slots_of(store: Store, versions: Sequence[tuple[str, int]]) -> Slots:
    """Slots of those of the capabilities that the store holds in this version."""
    found = ((store.slot(capability_id), version) for capability_id, version in versions)
    held = [slot for slot, version in found if slot is not None and store.rows["version"][slot] == version]
    return np.array(held, dtype=np.int64)
