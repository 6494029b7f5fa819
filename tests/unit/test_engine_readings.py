"""What an index says of its rows, written down and read back by another one, is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine.index import Index
from services.matching.engine.model import InstitutionFacts
from services.matching.engine.readings import TERM, Draft, Page, Reader, Word
from services.matching.engine.score import Scorer
from tests.unit.test_engine_story import CAPABILITIES, CLRI, INSTITUTIONS, SLOW, TWINNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def _page(index: Index, some: Sequence[str], numbers: dict[Word, int]) -> Page:
    """The readings of some as the database gives them, in the order of the ids."""
    written = sorted(t for t in Draft.of(index.store).written(numbers) if t.capability_id in some)
    owners = b"".join(UUID(_offer(index, taken.capability_id)[0]).bytes for taken in written)
    return Page(
        b"".join(UUID(taken.capability_id).bytes for taken in written),
        owners,
        b"".join(taken.head for taken in written),
        b"".join(taken.facets for taken in written),
        b"".join(taken.terms for taken in written),
    )


def _offer(index: Index, capability_id: str) -> tuple[str, object, object]:
    offer = index.offer(capability_id)
    assert offer is not None
    return offer.provider.id, replace(offer.capability, engaged=0), offer.content


def _vocabulary(index: Index, first: int) -> dict[Word, int]:
    words: list[Word] = [*index.store.words.facets.values, *((TERM, term) for term in index.store.words.terms.values)]
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


def test_words_that_the_vocabulary_lacks_are_never_taken_for_others() -> None:
    index = _index([TWINNING], [CLRI])
    numbers = _vocabulary(index, 1)
    page = _page(index, index.ids(), numbers)
    last = max(number for (kind, _), number in numbers.items() if kind == TERM)
    for missing in (last, min(numbers.values())):
        known = [(number, kind, word) for (kind, word), number in numbers.items() if number != missing]
        with pytest.raises(KeyError):
            Reader(_index([], [CLRI]).store, known).put(page)


def test_a_number_too_large_to_be_packed_is_refused() -> None:
    index = _index([TWINNING], [CLRI])
    with pytest.raises(ValueError, match="full"):
        list(Draft.of(index.store).written(_vocabulary(index, 1 << 24)))
