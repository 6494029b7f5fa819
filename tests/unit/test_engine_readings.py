"""What an index says of its rows, written down and read back by another one, is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine.index import Index
from services.matching.engine.model import InstitutionFacts
from services.matching.engine.readings import Draft, Page, Reader, Word, edition, slots_of
from services.matching.engine.score import Scorer
from tests.unit.test_engine_story import CAPABILITIES, CLRI, INSTITUTIONS, SLOW, TWINNING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.matching.engine.model import CapabilityFacts


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


def _index(offers: Iterable[CapabilityFacts], institutions: Iterable[InstitutionFacts]) -> Index:
    index = Index(Scorer())
    for institution in institutions:
        index.put_institution(replace(institution, id=_id(institution.id)))
    for offer in offers:
        index.put_capability(replace(offer, id=_id(offer.id), institution_id=_id(offer.institution_id)))
    return index


def _page(index: Index, ids: list[str], numbers: dict[Word, int]) -> Page:
    """The readings as the database gives them, in the order of the ids."""
    draft = Draft.of(index.store, slots_of(index.store, [(i, _version(index, i)) for i in sorted(ids)]))
    written = list(draft.written(numbers))
    owners = b"".join(UUID(_offer(index, reading.capability_id)[0]).bytes for reading in written)
    return Page(
        b"".join(UUID(reading.capability_id).bytes for reading in written),
        owners,
        b"".join(reading.head for reading in written),
        b"".join(reading.facets for reading in written),
        b"".join(reading.terms for reading in written),
    )


def _version(index: Index, capability_id: str) -> int:
    held = index.capability(capability_id)
    assert held is not None
    return held.version


def _offer(index: Index, capability_id: str) -> tuple[str, object, object]:
    offer = index.offer(capability_id)
    assert offer is not None
    return offer.provider.id, replace(offer.capability, engaged=0), offer.content


def _vocabulary(index: Index, first: int) -> dict[Word, int]:
    words: list[Word] = [*index.store.words.facets.values, *((-1, term) for term in index.store.words.terms.values)]
    return {word: first + 3 * place for place, word in enumerate(reversed(words))}


@given(st.lists(CAPABILITIES, max_size=20), st.lists(INSTITUTIONS, max_size=8), st.integers(1, 500), st.integers(1, 20))
@SLOW
def test_what_is_read_back_is_what_was_written(
    offers: list[CapabilityFacts], institutions: list[InstitutionFacts], first: int, size: int
) -> None:
    index = _index(offers, institutions)
    numbers = _vocabulary(index, first)
    other = _index([], institutions)
    other.store.words.terms.number("a word that was there before")
    reader = Reader(other.store, [(number, kind, word) for (kind, word), number in numbers.items()])
    for start in range(0, len(index), size):
        reader.put(_page(index, index.ids()[start : start + size], numbers))
    assert other.ids() == index.ids()
    assert other.fingerprint() == index.fingerprint()
    for capability_id in index.ids():
        assert _offer(other, capability_id) == _offer(index, capability_id)
    assert other.statistics(1) == index.statistics(1)


def test_a_capability_held_in_another_version_is_left_out() -> None:
    index = _index([TWINNING], [CLRI])
    assert len(slots_of(index.store, [(_id("twinning"), 1), (_id("unheard of"), 1)])) == 1
    assert len(slots_of(index.store, [(_id("twinning"), 2)])) == 0


def test_an_edition_is_sixteen_digits() -> None:
    assert len(edition()) == 16
    assert int(edition(), 16) > 0
