"""Folding of texts in seven languages into comparable keys, and BM25's frozen term statistics.

A key is not a word but what words of one family share: `tannery`, `tanneries` and `tannerie` give one
key, and so do `production`, `produção` and `producción`. The rules are spelling rules, no dictionary;
what they cannot bridge is the work of the concept lexicon.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from anyascii import anyascii

from services.matching.engine.stopwords import STOP_CHARACTERS, STOP_WORDS

KEY_LENGTH = 14
"""Keys are cut here: bounds what a match stores, and joins the last inflections of long words."""

WORD = re.compile(r"[^\W_]+")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
ARABIC = re.compile(r"[\u0600-\u06ff]")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
DOUBLED = re.compile(r"([a-z])\1")
NOT_KEY = re.compile(r"[^a-z0-9]")


class Token(NamedTuple):
    """A key and the word of the text it came from."""

    key: str
    surface: str


def tokens(text: str) -> Iterator[Token]:
    """Keys of a text in reading order, stop words left out; any text is accepted."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn" and c != "\u0640")
    for match in WORD.finditer(plain):
        yield from _word_tokens(match.group())


def _word_tokens(word: str) -> Iterator[Token]:
    position = 0
    for run in CJK.finditer(word):
        yield from _alphabetic(word[position : run.start()])
        yield from _bigrams(run.group())
        position = run.end()
    yield from _alphabetic(word[position:])


def _bigrams(run: str) -> Iterator[Token]:
    """Chinese has no spaces: pairs of characters stand for words, kept in their own script."""
    pairs = [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
    for pair in pairs:
        if STOP_CHARACTERS.isdisjoint(pair):
            yield Token(pair, pair)


def _alphabetic(word: str) -> Iterator[Token]:
    # Stop words are looked up with their accents: `mais` (but) is one, `maïs` (maize) is not.
    if len(word) > 1 and word not in STOP_WORDS:
        key = key_of(word)
        if len(key) > 1:
            yield Token(key, word[:40])


@lru_cache(maxsize=262_144)
def key_of(word: str) -> str:
    """Key of one casefolded word without spaces; empty when nothing is left of it."""
    word = word[:64]
    if ARABIC.search(word):
        return _marked("a_", NOT_KEY.sub("", anyascii(_arabic(word)).lower()))
    if CYRILLIC.search(word):
        latin = NOT_KEY.sub("", anyascii(_russian(word)).lower())
        return latin[:KEY_LENGTH] if len(latin) >= LONG_ENOUGH else _marked("r_", latin)
    return stem(NOT_KEY.sub("", anyascii(word).lower()))[:KEY_LENGTH]


LONG_ENOUGH = 6
"""Shorter Russian words would meet others by chance: `соль` (salt) is no `sol` (soil)."""


def _marked(script: str, latin: str) -> str:
    """Keep a word of another script apart; Arabic ones always, as they come without vowels."""
    return (script + latin)[:KEY_LENGTH] if latin else ""


ARABIC_STEM, RUSSIAN_STEM, LATIN_STEM = 3, 4, 4
"""Letters that must be left of a word when an ending is dropped."""
ARABIC_PREFIXES = ("وال", "بال", "كال", "فال", "لل", "ال")


def _arabic(word: str) -> str:
    """Drop the article with its attached particles, then a feminine or plural ending."""
    for prefix in ARABIC_PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= ARABIC_STEM:
            word = word[len(prefix) :]
            break
    for ending in ("ات", "ية", "ين", "ون", "ة"):
        if word.endswith(ending) and len(word) - len(ending) >= ARABIC_STEM:
            return word[: -len(ending)]
    return word


# ruff: noqa: RUF001 (Cyrillic endings are meant)
RUSSIAN_ENDINGS = (
    *("иями", "ями", "ами", "его", "ого", "ему", "ому", "ими", "ыми", "иях", "ией", "ием", "иям"),
    *("ях", "ах", "ям", "ам", "ию", "ия", "ии", "ие", "ов", "ев", "ей", "ой", "ый", "ий", "ая", "яя", "ое", "ее"),
    *("ые", "ую", "юю", "ом", "ем", "их", "ых", "а", "я", "о", "е", "ы", "и", "у", "ю", "ь", "й"),
)


def _russian(word: str) -> str:
    """Drop the longest case ending that leaves four letters."""
    for ending in RUSSIAN_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= RUSSIAN_STEM:
            return word[: -len(ending)]
    return word


SUFFIXES = (
    # (endings of English, French, Spanish, Portuguese; common form; letters that must stay before it)
    (("ciones", "tions", "coes", "cion", "tion", "cao"), "cion", 2),
    (("siones", "sions", "soes", "sion", "sao"), "sion", 3),
    (("idades", "idade", "idad", "ities", "ity", "ites", "ite"), "it", 3),
    (("amientos", "imientos", "amiento", "imiento", "amentos", "imentos", "amento", "imento"), "ment", 3),
    (("ements", "ement", "ments", "ment"), "ment", 3),
    (("iques", "ique", "ically", "ical", "icas", "icos", "ics", "ica", "ico"), "ic", 3),
    (("aires", "aire", "arios", "arias", "ario", "aria", "aries", "ary"), "ar", 3),
    (("ielles", "ielle", "iels", "iel"), "ial", 3),
    (("eaux",), "eau", 2),
    (("aux",), "al", 3),
    (("ings", "ing", "ed"), "", 4),
)
SPELLINGS = (
    ("ph", "f"),
    ("th", "t"),
    ("qu", "c"),
    ("ch", "c"),
    ("ct", "t"),
    ("q", "c"),
    ("k", "c"),
    ("y", "i"),
    ("z", "s"),
)


def stem(word: str) -> str:
    """Give the common key of a word family across English, French, Spanish and Portuguese spelling.

    Ending classes first, else plural -s and final vowels; then spellings that differ between the
    four for one sound. Words of three letters are left alone.
    """
    if len(word) < LATIN_STEM or word.isdigit():
        return word
    word = _common_ending(word)
    for spelling, common in SPELLINGS:
        word = word.replace(spelling, common)
    return DOUBLED.sub(r"\1", word)


def _common_ending(word: str) -> str:
    for endings, common, stays in SUFFIXES:
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= stays:
                return word[: -len(ending)] + common
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("e") and len(word) > LATIN_STEM:
        word = word[:-1]
    for _ in range(2):
        if word[-1] in "aeioy" and len(word) > LATIN_STEM + 1:
            word = word[:-1]
    return word


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
