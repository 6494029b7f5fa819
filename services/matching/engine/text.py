"""Texts as the engine reads them: pieces, tokens and symbols, and BM25's frozen term statistics.

How one word becomes a key: `folding`. Which concepts a text names: `lexicon`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.matching.engine.folding import form_of, key_of
from services.matching.engine.stopwords import STOP_CHARACTERS, STOP_WORDS

WORD = re.compile(r"[^\W_]+(?:[-\u2010][^\W_]+)*")
HYPHEN = re.compile(r"[-\u2010]")
CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
SURFACE_LENGTH = 40
ENCLITICS = frozenset(("se", "me", "lhe", "lhes", "nos", "lo", "la", "los", "las", "o", "a", "os", "as"))
"""Portuguese pronouns that a hyphen hangs on a verb: `trata-se` is no compound."""


class Token(NamedTuple):
    """A key and the word of the text it came from."""

    key: str
    surface: str


def pieces(text: str) -> Iterator[str]:
    """Casefolded words, and unbroken runs of Chinese characters, in reading order; any text is accepted."""
    for match in WORD.finditer(_plain(text)):
        word = match.group()
        if not word.isascii() and CHINESE.search(word):
            yield from _around_chinese(word)
        elif HYPHEN.search(word):
            yield from _compound(HYPHEN.split(word))
        else:
            yield word


def _compound(parts: list[str]) -> list[str]:
    """Words of a hyphenated one; one word if a part means nothing alone: `e-commerce`, `know-how`, `sur-sur`."""
    dependent = any(len(part) == 1 or part in STOP_WORDS for part in parts)
    return ["".join(parts)] if dependent and parts[-1] not in ENCLITICS else parts


def _plain(text: str) -> str:
    """Casefold, join what Unicode writes in several ways, drop the vowel marks and stretches of Arabic."""
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if c.isascii() or (unicodedata.category(c) != "Mn" and c != "\u0640"))


def _around_chinese(word: str) -> Iterator[str]:
    position = 0
    for run in CHINESE.finditer(word):
        yield from filter(None, HYPHEN.split(word[position : run.start()]))
        yield run.group()
        position = run.end()
    yield from filter(None, HYPHEN.split(word[position:]))


def is_chinese(piece: str) -> bool:
    """Whether the piece is a run of Chinese characters."""
    return not piece.isascii() and CHINESE.match(piece) is not None


def tokens(text: str) -> Iterator[Token]:
    """Keys of a text in reading order, stop words left out; any text is accepted."""
    for piece in pieces(text):
        if is_chinese(piece):
            yield from (Token(pair, pair) for pair in pairs_of(piece))
        elif key := word_key(piece):
            yield Token(key, piece[:SURFACE_LENGTH])


def word_key(word: str) -> str:
    """Key of a casefolded word; empty for a stop word and for what is too short to tell anything."""
    # Stop words are looked up with their accents: `mais` (but) is one, `maïs` (maize) is not.
    if len(word) == 1 or word in STOP_WORDS:
        return ""
    key = key_of(word)
    return key if len(key) > 1 else ""


def word_form(word: str) -> str:
    """Form of a casefolded word; empty for a stop word and a single letter, but `industry 4.0` keeps its digits."""
    return "" if (len(word) == 1 and not word.isdigit()) or word in STOP_WORDS else form_of(word)


def pairs_of(run: str) -> list[str]:
    """Chinese has no spaces: pairs of characters stand for words, kept in their own script."""
    pairs = [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
    return [pair for pair in pairs if STOP_CHARACTERS.isdisjoint(pair)]


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """A frozen snapshot of how common terms are; a match names its `version` and needs it no more.

    `documents` capabilities of `average_length` words; `document_frequency` by term, words and concepts.
    """

    version: int
    documents: int = 0
    average_length: float = 0.0
    document_frequency: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, version: int, documents: Iterable["Document"]) -> "TermStatistics":
        """Count a collection; the order of the documents does not matter."""
        frequency: Counter[str] = Counter()
        count = total = 0
        for document in documents:
            frequency.update(document.frequencies.keys())
            count += 1
            total += document.length
        return cls(version, count, total / count if count else 0.0, dict(sorted(frequency.items())))


@dataclass(frozen=True, slots=True)
class Document:
    """A text as the engine sees it: its length in words, and how often it says each term."""

    length: int
    frequencies: Mapping[str, int]
