"""The concept lexicon: one concept behind `tanning`, `tannerie`, `curtume`, `دباغة`, `制革` and `дубление`.

Data: `data/concepts`, described and checked in `concepts`; how phrases are found: `phrases`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from services.matching.engine import concepts as files
from services.matching.engine.concepts import Concept
from services.matching.engine.folding import ARABIC, form_of, without_attached
from services.matching.engine.phrases import Hit, Phrases
from services.matching.engine.stopwords import STOP_WORDS
from services.matching.engine.text import CHINESE, Document, is_chinese, pairs_of, pieces, word_form, word_key

MARK = "~"
"""Begins a term that is a concept; no key of a word can hold it."""
MOST_SUBJECTS = 3
"""Concepts whose sectors a text is taken to be about."""

MOST_WORDS = 200_000
"""Words whose key and form are kept."""


@dataclass(slots=True)
class Reading:
    """A text taken in once: keys of its words, symbols among which phrases are looked for, and its stop words."""

    keys: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Concepts by id, and the phrases that stand for them."""

    concepts: Mapping[str, Concept]
    phrases: Phrases
    counts_as: Mapping[str, tuple[str, ...]]
    """Terms of a concept: its own and those of all broader ones."""
    _words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, concepts: Sequence[Concept]) -> "Lexicon":
        """Index the concepts. LexiconError if they cannot be used."""
        known = {concept.id: concept for concept in concepts}
        terms = {name: tuple(MARK + above for above in _upward(name, known)) for name in known}
        return cls(known, Phrases.of(concepts), terms)

    def document(self, texts: Sequence[str]) -> Document:
        """Terms of a capability or need: words of all texts, and the concepts that they name."""
        frequencies: Counter[str] = Counter()
        length = 0
        for reading, hits in self.read(texts):
            length += len(reading.keys)
            frequencies.update(reading.keys)
            for hit in hits:
                for concept in hit.concepts:
                    frequencies.update(self.counts_as[concept])
        return Document(length, frequencies)

    def read(self, texts: Sequence[str]) -> Iterator[tuple[Reading, list[Hit]]]:
        """Each text with the concepts found in it; the language of ambiguous words is that of all texts together."""
        readings = [self._reading(text) for text in texts]
        languages = cache(lambda: languages_of(readings))
        for reading in readings:
            yield reading, list(self.phrases.hits(reading.symbols, languages))

    def _reading(self, text: str) -> Reading:
        reading = Reading()
        for piece in pieces(text):
            if is_chinese(piece):
                reading.keys += pairs_of(piece)
                reading.symbols += piece
            elif piece in STOP_WORDS:
                reading.stops.append(piece)
            else:
                key, form = self._word(piece)
                reading.keys += key
                reading.symbols += form
        return reading

    def _word(self, word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Key and form of a word, as far as it has any; texts say the same words again and again."""
        found = self._words.get(word)
        if found is None:
            if len(self._words) >= MOST_WORDS:
                self._words.clear()
            found = self._words[word] = (tuple(filter(None, [word_key(word)])), tuple(filter(None, [self.form(word)])))
        return found

    def form(self, word: str) -> str:
        """Form of a word; of an Arabic one without what is written together with it, if only that is known."""
        form = word_form(word)
        if form in self.phrases.vocabulary or not ARABIC.match(word):
            return form
        bare = (form_of(bare) for bare in without_attached(word))
        return next((other for other in bare if other in self.phrases.vocabulary), form)

    def languages(self, texts: Sequence[str]) -> frozenset[str]:
        """Languages that the texts seem to be in."""
        return languages_of([self._reading(text) for text in texts])

    def implied_isic(self, document: Document) -> tuple[str, ...]:
        """ISIC codes that the concepts of a text stand for: those named most often, of equals those named first.

        A text also names what lies around its subject: who trains herders to ride motorcycles makes none.
        """
        named = [self.concepts[term.removeprefix(MARK)] for term in _commonest(document) if term.startswith(MARK)]
        subjects = [concept for concept in named if concept.isic][:MOST_SUBJECTS]
        return tuple(sorted({code for concept in subjects for code in concept.isic}))


def _upward(name: str, known: Mapping[str, Concept]) -> Iterator[str]:
    """Give the concept itself, then all that it also counts as, each once."""
    seen: dict[str, None] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop(0)
        if current in known and current not in seen:
            seen[current] = None
            waiting += known[current].broader
    yield from seen


def _commonest(document: Document) -> list[str]:
    return sorted(document.frequencies, key=lambda term: -document.frequencies[term])


def languages_of(readings: Sequence[Reading]) -> frozenset[str]:
    """Languages that texts seem to be in, by their stop words and Chinese characters; several when none leads."""
    votes: Counter[str] = Counter()
    for reading in readings:
        votes.update(language for word in reading.stops for language in STOP_WORDS[word])
        votes["zh"] += sum(1 for symbol in reading.symbols if CHINESE.match(symbol))
    most = max(votes.values(), default=0)
    return frozenset(language for language, count in votes.items() if count == most) if most else frozenset()


@cache
def default_lexicon() -> Lexicon:
    """Give the lexicon of the concept files, read once."""
    return Lexicon.of(files.read())
