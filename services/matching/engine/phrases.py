"""The phrases that stand for concepts, as a tree that a text is walked through once.

A phrase is a sequence of symbols: the form of a word, or a single Chinese character. So phrases are found
whole in running Chinese, and in other languages whatever stop words and inflections stand in between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.matching.engine.concepts import Concept, LexiconError
from services.matching.engine.text import is_chinese, pieces, word_form

Symbol = str
Languages = Callable[[], frozenset[str]]
"""Asked only when an ambiguous phrase is met: the languages that a text seems to be in."""


def phrase_of(label: str) -> tuple[Symbol, ...]:
    """Symbols of a label: each Chinese character, and the forms of other words without stop words."""
    found: list[Symbol] = []
    for piece in pieces(label):
        found += piece if is_chinese(piece) else filter(None, [word_form(piece)])
    return tuple(found)


class Claim(NamedTuple):
    """A concept that a phrase stands for; `language` when it does so in texts of this language only."""

    concept: str
    language: str | None


class Hit(NamedTuple):
    """Concepts named by the symbols from `start` to before `end`."""

    start: int
    end: int
    concepts: tuple[str, ...]


@dataclass(slots=True)
class Node:
    """A place in the tree: the claims of the phrase that ends here, and where further symbols lead."""

    claims: tuple[Claim, ...] = ()
    onward: dict[Symbol, "Node"] = field(default_factory=dict)

    def concepts(self, languages: Languages) -> tuple[str, ...]:
        """Concepts that the phrase names in a text: those of the text's language before the unambiguous one."""
        if not self.claims:
            return ()
        if len(self.claims) == 1 and self.claims[0].language is None:
            return (self.claims[0].concept,)
        said = languages()
        own = tuple(claim.concept for claim in self.claims if claim.language in said)
        return tuple(dict.fromkeys(own)) or tuple(claim.concept for claim in self.claims if claim.language is None)


@dataclass(frozen=True, slots=True)
class Phrases:
    """All phrases of a set of concepts."""

    root: Node
    vocabulary: frozenset[Symbol]

    @classmethod
    def of(cls, concepts: Iterable[Concept]) -> "Phrases":
        """Index every label. LexiconError for a label that folds to nothing or that two concepts claim unmarked."""
        claims: dict[tuple[Symbol, ...], dict[Claim, str]] = {}
        faults: list[str] = []
        for concept in concepts:
            for language, label, ambiguous in concept.names():
                claim = Claim(concept.id, language if ambiguous else None)
                found = _spellings(label)
                faults += [f"{concept.where}: {fault}" for fault in _unfindable(label)]
                for phrase in found:
                    claims.setdefault(phrase, {}).setdefault(claim, f"{concept.where} {label!r} ({language})")
        faults += [fault for named in claims.values() for fault in _disputes(named)]
        if faults:
            raise LexiconError("\n".join(faults))
        return cls(_tree(claims), frozenset(symbol for phrase in claims for symbol in phrase))

    def hits(self, symbols: Sequence[Symbol], languages: Languages) -> Iterator[Hit]:
        """Longest phrases in reading order, without overlap."""
        position = 0
        while position < len(symbols):
            hit = self._longest(symbols, position, languages)
            if hit:
                yield hit
            position = hit.end if hit else position + 1

    def _longest(self, symbols: Sequence[Symbol], start: int, languages: Languages) -> Hit | None:
        node, found = self.root, None
        for end in range(start, len(symbols)):
            onward = node.onward.get(symbols[end])
            if onward is None:
                break
            node = onward
            if node.claims and (concepts := node.concepts(languages)):
                found = Hit(start, end + 1, concepts)
        return found


def _spellings(label: str) -> set[tuple[Symbol, ...]]:
    """Phrases of a label: as it stands, and with its hyphens closed (`agro-processing`, `agroprocessing`)."""
    return {phrase_of(label), phrase_of(label.replace("-", ""))} if "-" in label else {phrase_of(label)}


def _unfindable(label: str) -> Iterator[str]:
    """Faults of a label: nothing is left of it, or so little that it would be found where it is not meant."""
    phrase = phrase_of(label)
    if not phrase or (len(phrase) == 1 and is_chinese(phrase[0])):
        yield f"{label!r} cannot be found in texts"
    elif len(phrase) == 1 and len(list(pieces(label))) > 1:
        yield f"of {label!r} only {phrase[0]!r} is left without stop words"


def _disputes(named: dict[Claim, str]) -> Iterator[str]:
    """Faults of one phrase: several concepts hold it, and not all but one say that it is ambiguous."""
    plain = [where for claim, where in named.items() if claim.language is None]
    if len(plain) > 1:
        yield "One phrase for several concepts, none marked as ambiguous: " + ", ".join(plain)


def _tree(claims: dict[tuple[Symbol, ...], dict[Claim, str]]) -> Node:
    root = Node()
    for phrase, named in claims.items():
        node = root
        for symbol in phrase:
            node = node.onward.setdefault(symbol, Node())
        node.claims = tuple(named)
    return root
