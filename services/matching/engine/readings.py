"""What capabilities say, worked out once and kept beside them: rows of an index as bytes, and back.

The numbers in it stand for words of a vocabulary that outlives the process; those of an index are given anew with
every start.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import ID_TYPE, Slots
from services.matching.engine.rows import COUNT_BITS, HEADER, Block
from services.matching.engine.store import Store

Word = tuple[int, str]
"""A kind of facet and its word, or TERM and a term."""
TERM = -1

_FROM_HEADER = ("version", "renew_by", "capacity", "length", "evidence", "published", "all_south", "own_languages")
HEAD = np.dtype(
    [("facets", "<u4"), ("terms", "<u4"), *((name, HEADER[name].newbyteorder("<")) for name in _FROM_HEADER)]
)
"""The head of a reading: how many facets and terms it has, and members of the row that the capability settles."""
_NUMBERS = np.dtype("<u4")
_SHIFT, _COUNT = np.uint32(COUNT_BITS), np.uint32((1 << COUNT_BITS) - 1)
_UNKNOWN = 0xFFFF_FFFF


class Taken(NamedTuple):
    """One row, as it is stored."""

    capability_id: str
    head: bytes
    facets: bytes
    terms: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """The rows of a store on their way out, with the numbers of that store."""

    header: NDArray[Any]
    facets: NDArray[np.uint16]
    facet_counts: Slots
    terms: NDArray[np.uint32]
    term_counts: Slots
    facet_words: dict[int, Word]
    term_words: dict[int, Word]

    @classmethod
    def of(cls, store: Store) -> "Draft":
        """All rows as they are now."""
        slots = store.live_slots()
        header = np.zeros(len(slots), dtype=HEADER)
        header["id"] = store.rows.ids.column.values[slots]
        for name in _FROM_HEADER:
            header[name] = store.rows[name][slots]
        facets, terms = store.rows.facets, store.rows.terms
        held, said = facets.gather(slots)[0], terms.gather(slots)[0]
        facet_words = {n: store.words.facets.values[n] for n in np.unique(held).tolist()}
        term_words = {n: (TERM, store.words.terms.values[n]) for n in np.unique(said >> COUNT_BITS).tolist()}
        return cls(header, held, facets.counts(slots), said, terms.counts(slots), facet_words, term_words)

    def words(self) -> set[Word]:
        """What the vocabulary must know."""
        return {*self.facet_words.values(), *self.term_words.values()}

    def written(self, numbers: Mapping[Word, int]) -> Iterator[Taken]:
        """The rows with the vocabulary's numbers; ValueError when one of them is too large to be packed."""
        if max(numbers.values(), default=0) >= 1 << (32 - COUNT_BITS):
            msg = "the vocabulary is full"
            raise ValueError(msg)
        facets = _table({n: numbers[word] for n, word in self.facet_words.items()})[self.facets]
        of_term = _table({n: numbers[word] for n, word in self.term_words.items()})
        terms = of_term[self.terms >> _SHIFT] << _SHIFT | self.terms & _COUNT
        heads = np.zeros(len(self.header), dtype=HEAD)
        heads["facets"], heads["terms"] = self.facet_counts, self.term_counts
        for name in _FROM_HEADER:
            heads[name] = self.header[name]
        parts = zip(heads, _parts(facets, self.facet_counts), _parts(terms, self.term_counts), strict=True)
        for capability_id, (head, held, said) in zip(self.header["id"], parts, strict=True):
            yield Taken(capability_id.decode(), head.tobytes(), held, said)


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
        self._store, self._facets, self._terms = store, _table(facets), _table(terms)

    def put(self, page: Page) -> None:
        """Add a page; the places taken are nought. KeyError when the vocabulary lacks a word of it."""
        heads = np.frombuffer(page.heads, dtype=HEAD)
        header = np.zeros(len(heads), dtype=HEADER)
        for name in _FROM_HEADER:
            header[name] = heads[name]
        header["id"] = ids_of(page.ids)
        header["provider"] = self._providers(ids_of(page.owners))
        facets = _known(self._facets, _numbers(page.facets)).astype(np.uint16)
        said = _numbers(page.terms)
        terms = _known(self._terms, said >> _SHIFT) << _SHIFT | said & _COUNT
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
    table = np.full(max(numbers, default=0) + 1, _UNKNOWN, dtype=np.uint32)
    table[np.fromiter(numbers.keys(), dtype=np.int64, count=len(numbers))] = list(numbers.values())
    return table


def _numbers(raw: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(raw, dtype=_NUMBERS).astype(np.uint32, copy=False)


def _known(table: NDArray[np.uint32], keys: NDArray[np.uint32]) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = table[np.minimum(keys, len(table) - 1)]
    if len(keys) and (int(keys.max()) >= len(table) or (found == _UNKNOWN).any()):
        raise KeyError("a word that the vocabulary does not know")
    return found


def _parts(numbers: NDArray[np.uint32], counts: Slots) -> Iterator[bytes]:
    raw, ends = numbers.astype(_NUMBERS).tobytes(), (np.cumsum(counts) * _NUMBERS.itemsize).tolist()
    yield from (raw[start:end] for start, end in zip([0, *ends], ends, strict=False))
