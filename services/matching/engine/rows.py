"""The columns of all capabilities, dead rows included; facets and terms as lists of numbers."""

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from services.matching.engine.columns import ID_TYPE, Bools, Column, Ids, Numbered, Ragged, Slots
from services.matching.engine.inputs import isic_line, isic_rank
from services.matching.engine.model import PUBLISHED, CapabilityFacts, Serves, hs_chapters
from services.matching.engine.prepared import MOST_COUNTED, Content
from services.matching.engine.text import Document
from shared.reference.classifications import sdg_goal_of

NONE, MANY, KIND, CHAPTER, ISIC, TARGET, GOAL, LANGUAGE, COUNTRY, BLOC, IMPLIED = range(11)
"""What a facet is; NONE stands in every row, so that no list of facets is empty; MANY in none, see `Words.briefs`.

ISIC are the codes that an offer states, IMPLIED those that only its words imply.
"""
Facet = tuple[int, str]

COUNT_BITS = 8
"""Low bits of a packed term: how often it is said. The high ones are its number."""

HEADER = np.dtype(
    [
        ("id", ID_TYPE),
        ("version", np.int32),
        ("provider", np.int32),
        ("renew_by", np.int32),
        ("capacity", np.int32),
        ("engaged", np.int32),
        ("length", np.int32),
        ("evidence", np.int32),
        ("published", np.bool_),
        ("all_south", np.bool_),
        ("own_languages", np.bool_),
        ("code_a", np.uint16),
        ("code_b", np.uint16),
        ("kinds", np.uint16),
        ("languages", np.uint16),
        ("goals", np.uint32),
        ("chapters", np.uint32),
        ("implied", np.uint64),
    ]
)
"""The members of a row that are one value each. The last seven repeat facets in brief, see `Words.briefs`."""
CODES = ("code_a", "code_b")
BITS = {"kinds": KIND, "languages": LANGUAGE, "goals": GOAL, "chapters": CHAPTER, "implied": IMPLIED}
BITS_OF = {KIND: 16, LANGUAGE: 16, GOAL: 32, CHAPTER: 32, IMPLIED: 64}
NAMES = tuple(name for name in HEADER.names or () if name != "id")


@dataclass(frozen=True, slots=True)
class Block:
    """Many rows at once: headers, and per row the numbers of its facets and packed terms, end to end."""

    header: NDArray[Any]
    facets: NDArray[np.uint16]
    facet_counts: NDArray[np.int64]
    terms: NDArray[np.uint32]
    term_counts: NDArray[np.int64]


def block_of(headers: list[tuple[Any, ...]], facets: list[list[int]], terms: list[list[int]]) -> Block:
    """Rows given one by one, without their briefs."""
    header = np.zeros(len(headers), dtype=HEADER)
    for row, members in enumerate(headers):
        header[row] = (*members, *([0] * (len(NAMES) + 1 - len(members))))
    held, held_counts = _end_to_end(facets, np.uint16)
    said, said_counts = _end_to_end(terms, np.uint32)
    return Block(header, held, held_counts, said, said_counts)


def _end_to_end(lists: list[list[int]], dtype: DTypeLike) -> tuple[NDArray[Any], Slots]:
    counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    return np.fromiter(chain.from_iterable(lists), dtype=dtype, count=int(counts.sum())), counts


def pack_term(number: int, count: int) -> int:
    """A term and how often it is said, as one number."""
    return number << COUNT_BITS | count


class Rows:
    """Rows of capabilities; `live` is false once another row or nobody took the place."""

    __slots__ = ("columns", "facets", "ids", "live", "most_evidence", "terms")

    def __init__(self) -> None:
        """Start empty."""
        self.ids = Ids()
        self.columns = {name: Column(HEADER[name]) for name in NAMES}
        self.live = Column(np.bool_)
        self.facets, self.terms = Ragged(np.uint16), Ragged(np.uint32)
        self.most_evidence = 0
        """At least the largest `evidence` of all rows."""

    def __len__(self) -> int:
        """Count the rows, dead ones included."""
        return len(self.live)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """All values of a member."""
        return self.columns[name].values

    def extend(self, block: Block) -> None:
        """Add many rows; from now on their ids stand for them."""
        self.ids.extend(block.header["id"])
        for name, column in self.columns.items():
            column.extend(block.header[name])
        self.facets.extend(block.facets, block.facet_counts)
        self.terms.extend(block.terms, block.term_counts)
        self.live.extend(np.ones(len(block.header), dtype=np.bool_))
        self.most_evidence = max(self.most_evidence, int(block.header["evidence"].max(initial=0)))

    def take(self, slots: Slots) -> "Rows":
        """A copy of some rows."""
        copy = Rows()
        copy.ids = Ids(self.ids.column.values[slots])
        copy.columns = {name: Column(HEADER[name], column.values[slots]) for name, column in self.columns.items()}
        copy.live = Column(np.bool_, self.live.values[slots])
        copy.facets, copy.terms = self.facets.take(slots), self.terms.take(slots)
        copy.most_evidence = int(copy["evidence"].max(initial=0))
        return copy

    def trim(self) -> None:
        """Give back the room kept for more rows."""
        self.ids = self.ids.settled()
        for column in (*self.columns.values(), self.live):
            column.trim()
        self.facets.trim()
        self.terms.trim()

    def offered(self, slots: Slots, on: date) -> Bools:
        """Whether rows are live, published, not past their renewal date and have a place free."""
        found: Bools = self.live.values[slots] & self["published"][slots]
        found &= self["renew_by"][slots] >= on.toordinal()
        found &= self["engaged"][slots] < self["capacity"][slots]
        return found

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        single = sum(column.nbytes for column in (*self.columns.values(), self.live))
        return self.ids.nbytes + single + self.facets.nbytes + self.terms.nbytes


class Words:
    """The open vocabularies of the rows: facets and terms by number."""

    __slots__ = ("_bits", "_codes_read", "_within", "facets", "terms")

    def __init__(self) -> None:
        """Begin with the facets that are none."""
        self._within: dict[Facet, list[int]] = {}
        self._codes_read = 0
        self._bits = {kind: Numbered[str]() for kind in BITS_OF}
        self.facets, self.terms = Numbered[Facet](), Numbered[str]()
        self.facets.numbers([(NONE, ""), (MANY, "")])

    def facets_of(self, capability: CapabilityFacts, content: Content) -> list[int]:
        """Numbers of all facets of a capability, each once."""
        return sorted(set(self.facets.numbers(_facets(capability, content))))

    def terms_of(self, document: Document) -> list[int]:
        """Packed terms of a text."""
        return [pack_term(self.terms.number(term), count) for term, count in document.frequencies.items()]

    def briefs(self, facets: NDArray[np.uint16], counts: Slots) -> dict[str, NDArray[Any]]:
        """Two ISIC codes, and kinds, languages, goals and goods as bits, per row: they bound a score without its lists.

        A row with more than two codes has MANY for one of them, whose depth is unknown.
        """
        begins = np.cumsum(counts) - counts
        found = dict(zip(CODES, self._two_codes(facets, counts), strict=True))
        for name, kind in BITS.items():
            bits = [self.bit(kind, word) if kind == k else 0 for k, word in self.facets.values]
            of_facet = np.array(bits, dtype=HEADER[name])
            found[name] = np.bitwise_or.reduceat(of_facet[facets], begins) if len(counts) else of_facet[:0]
        return found

    def _two_codes(self, facets: NDArray[np.uint16], counts: Slots) -> NDArray[np.uint16]:
        owner = np.repeat(np.arange(len(counts)), counts)
        is_code = np.array([kind == ISIC for kind, _ in self.facets.values], dtype=np.bool_)[facets]
        codes, of = facets[is_code], owner[is_code]
        place = np.arange(len(of)) - np.searchsorted(of, of)
        found = np.zeros((2, len(counts)), dtype=np.uint16)
        for which in (0, 1):
            found[which, of[place == which]] = codes[place == which]
        found[1, of[place > 1]] = 1
        return found

    def bit(self, kind: int, word: str) -> int:
        """The bit of a word in the brief of its kind; when there are more words than bits, some share one.

        Implied codes of one division share theirs: a bit says whether the depth can be 2 or more.
        """
        return 1 << self._bits[kind].number(word[:2] if kind == IMPLIED else word) % BITS_OF[kind]

    def depths(self, wanted: Iterable[str], kind: int = ISIC) -> NDArray[np.int8]:
        """Depth of the category that each facet, if it is a stated or implied code, shares with one of those wanted."""
        self._read_codes()
        found = np.zeros(len(self.facets), dtype=np.int8)
        categories = {category for code in wanted for category in isic_line(code)}
        for category in sorted(categories, key=isic_rank):
            found[self._within.get((kind, category), [])] = isic_rank(category)
        return found

    def _read_codes(self) -> None:
        """Note of which categories the codes are that came since the last time."""
        for number in range(self._codes_read, len(self.facets)):
            kind, word = self.facets.values[number]
            for category in isic_line(word) if kind in {ISIC, IMPLIED} else ():
                self._within.setdefault((kind, category), []).append(number)
        self._codes_read = len(self.facets)

    def read(self, rows: Rows, slot: int, institution_id: str) -> tuple[CapabilityFacts, Content]:
        """What a row says, without the words of title and summary in their order; HS codes as chapters."""
        held = [self.facets.values[number] for number in rows.facets.of(slot).tolist()]
        packed = rows.terms.of(slot).tolist()
        frequencies = {self.terms.values[p >> COUNT_BITS]: p & MOST_COUNTED for p in packed}
        document = Document(int(rows["length"][slot]), frequencies)
        content = Content(document, _of(held, ISIC), _of(held, IMPLIED))
        return _facts(rows, slot, institution_id, held), content


def united(bits: Iterable[int]) -> int:
    """All bits together."""
    return functools.reduce(operator.or_, bits, 0)


def header_of(capability: CapabilityFacts, content: Content, provider_row: int) -> tuple[Any, ...]:
    """The members that are one value each, in the order of HEADER, without the briefs."""
    return (
        capability.id,
        capability.version,
        provider_row,
        capability.renew_by.toordinal(),
        capability.capacity,
        capability.engaged,
        content.document.length,
        capability.verified_evidence,
        capability.status == PUBLISHED,
        capability.serves.all_south,
        bool(capability.languages),
    )


def _facets(capability: CapabilityFacts, content: Content) -> Iterable[Facet]:
    yield NONE, ""
    listed: tuple[tuple[int, Iterable[str]], ...] = (
        (KIND, capability.resource_kinds),
        (CHAPTER, hs_chapters(capability.hs)),
        (ISIC, content.isic),
        (IMPLIED, content.implied),
        (TARGET, capability.sdg_targets),
        (GOAL, {sdg_goal_of(target) for target in capability.sdg_targets}),
        (LANGUAGE, capability.languages),
        (COUNTRY, capability.serves.countries),
        (BLOC, capability.serves.blocs),
    )
    for kind, words in listed:
        yield from ((kind, word) for word in sorted(words))


def _of(held: list[Facet], kind: int) -> tuple[str, ...]:
    return tuple(sorted(word for k, word in held if k == kind))


def _facts(rows: Rows, slot: int, institution_id: str, held: list[Facet]) -> CapabilityFacts:
    return CapabilityFacts(
        id=rows.ids.of(slot),
        version=int(rows["version"][slot]),
        institution_id=institution_id,
        title="",
        summary="",
        resource_kinds=_of(held, KIND),
        renew_by=date.fromordinal(int(rows["renew_by"][slot])),
        serves=Serves(bool(rows["all_south"][slot]), _of(held, COUNTRY), _of(held, BLOC)),
        isic=_of(held, ISIC),
        hs=_of(held, CHAPTER),
        sdg_targets=_of(held, TARGET),
        languages=_of(held, LANGUAGE),
        capacity=int(rows["capacity"][slot]),
        engaged=int(rows["engaged"][slot]),
        status=PUBLISHED if rows["published"][slot] else "",
        verified_evidence=int(rows["evidence"][slot]),
    )
