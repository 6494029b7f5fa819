"""The concept lexicon: one concept behind `tanning`, `tannerie`, `curtume`, `دباغة`, `制革` and `дубление`.

Data: `data/lexicon.jsonl`, one concept a line with its labels and synonyms in seven languages and its
ISIC, HS and SDG links. Looked up by longest phrase over the folded keys of a text.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.matching.engine.text import Document, tokens

DATA = Path(__file__).parent / "data" / "lexicon.jsonl"
LANGUAGES = ("en", "fr", "es", "pt", "ar", "zh", "ru")
MARK = "~"
"""Begins a term that is a concept; no key of a word can hold it."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One idea of the field. `broader` is the concept that it also counts as; labels by language."""

    id: str
    labels: Mapping[str, tuple[str, ...]]
    isic: tuple[str, ...] = ()
    hs: tuple[str, ...] = ()
    sdg: tuple[str, ...] = ()
    broader: str | None = None


Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Concepts by id, and the phrases that stand for them by first key, longest first."""

    concepts: Mapping[str, Concept]
    phrases: Mapping[str, tuple[tuple[Phrase, str], ...]]

    @classmethod
    def of(cls, concepts: Sequence[Concept]) -> "Lexicon":
        """Index the labels of the concepts; the first concept keeps a phrase that two claim."""
        owner: dict[Phrase, str] = {}
        for concept in concepts:
            for label in (label for labels in concept.labels.values() for label in labels):
                phrase = tuple(token.key for token in tokens(label))
                if phrase:
                    owner.setdefault(phrase, concept.id)
        by_first: dict[str, list[tuple[Phrase, str]]] = {}
        for phrase, concept_id in owner.items():
            by_first.setdefault(phrase[0], []).append((phrase, concept_id))
        phrases = {key: tuple(sorted(found, key=lambda p: -len(p[0]))) for key, found in by_first.items()}
        return cls({concept.id: concept for concept in concepts}, phrases)

    def hits(self, keys: Sequence[str]) -> Iterator[str]:
        """Ids of the concepts in a sequence of keys, longest phrase first, without overlap."""
        position = 0
        while position < len(keys):
            phrase, concept_id = self._longest(keys, position)
            if concept_id:
                yield concept_id
            position += max(1, len(phrase))

    def _longest(self, keys: Sequence[str], position: int) -> tuple[Phrase, str | None]:
        for phrase, concept_id in self.phrases.get(keys[position], ()):
            if tuple(keys[position : position + len(phrase)]) == phrase:
                return phrase, concept_id
        return (), None

    def with_broader(self, concept_id: str) -> Iterator[str]:
        """Give the concept itself, then what it also counts as; a loop in the data ends the walk."""
        seen: set[str] = set()
        current: str | None = concept_id
        while current and current not in seen and current in self.concepts:
            seen.add(current)
            yield current
            current = self.concepts[current].broader

    def document(self, texts: Sequence[str]) -> Document:
        """Terms of a capability or need: words of all texts, and the concepts that they name."""
        frequencies: Counter[str] = Counter()
        length = 0
        for text in texts:
            keys = [token.key for token in tokens(text)]
            length += len(keys)
            frequencies.update(keys)
            frequencies.update(MARK + c for hit in self.hits(keys) for c in self.with_broader(hit))
        return Document(length, frequencies)

    def implied_isic(self, document: Document) -> tuple[str, ...]:
        """ISIC codes that the concepts of a text stand for."""
        named = [term.removeprefix(MARK) for term in document.frequencies if term.startswith(MARK)]
        return tuple(sorted({code for concept_id in named for code in self.concepts[concept_id].isic}))


def _concept(line: str) -> Concept:
    data = json.loads(line)
    return Concept(
        id=data["id"],
        labels={language: tuple(data.get(language, ())) for language in LANGUAGES},
        isic=tuple(data.get("isic", ())),
        hs=tuple(data.get("hs", ())),
        sdg=tuple(data.get("sdg", ())),
        broader=data.get("broader"),
    )


@cache
def default_lexicon() -> Lexicon:
    """Give the lexicon of the data file, read once."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return Lexicon.of([_concept(line) for line in lines if line.strip()])
