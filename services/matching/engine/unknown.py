"""Words of texts that the concept lexicon does not know, counted: candidates for new labels and concepts."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from services.matching.engine.concepts import LANGUAGES
from services.matching.engine.lexicon import Lexicon
from services.matching.engine.stopwords import STOP_CHARACTERS
from services.matching.engine.text import is_chinese, pieces

LEAST_LETTERS = 3
CHINESE_WORD = (2, 3, 4)
"""Lengths of Chinese words that are counted, in characters."""
MOSTLY = 0.8
"""A Chinese word that stands inside a longer one in this share of its texts is no word of its own."""
NO_FUNCTION = re.compile("[^" + "".join(sorted(STOP_CHARACTERS)) + "]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word in its commonest spelling, in how many texts it stands, their likely language, and one of them."""

    word: str
    texts: int
    language: str | None
    example: str


@dataclass(slots=True)
class _Seen:
    texts: int = 0
    spellings: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    example: str = ""


@dataclass(slots=True)
class UnknownWords:
    """A count over any number of texts; each is taken as the parts that it is written in, its title first."""

    lexicon: Lexicon
    seen: dict[str, _Seen] = field(default_factory=dict)

    def take(self, parts: Sequence[str]) -> None:
        """Count the words of one text, each once."""
        found: dict[str, str] = {}
        for form, word in self._unknown(parts):
            found.setdefault(form, word)
        languages = self.lexicon.languages(parts) if found else frozenset()
        for form, word in found.items():
            seen = self.seen.setdefault(form, _Seen(example=parts[0]))
            seen.texts += 1
            seen.spellings[word] += 1
            seen.languages.update(languages)

    def _unknown(self, parts: Iterable[str]) -> Iterator[tuple[str, str]]:
        for piece in (piece for part in parts for piece in pieces(part)):
            if is_chinese(piece):
                yield from ((word, word) for word in self._chinese(piece))
            elif len(piece) >= LEAST_LETTERS and not piece.isdigit():
                form = self.lexicon.form(piece)
                if form and form not in self.lexicon.phrases.vocabulary:
                    yield form, piece

    def _chinese(self, run: str) -> Iterator[str]:
        """Every sequence of a few characters between the known words of a run and its function characters."""
        rest = list(run)
        for hit in self.lexicon.phrases.hits(run, lambda: frozenset(LANGUAGES)):
            rest[hit.start : hit.end] = " " * (hit.end - hit.start)
        for stretch in (part for known in "".join(rest).split() for part in NO_FUNCTION.findall(known)):
            yield from (stretch[i : i + n] for n in CHINESE_WORD for i in range(len(stretch) - n + 1))

    def most_frequent(self, limit: int, least: int) -> list[Candidate]:
        """Words that stand in at least so many texts, the commonest first."""
        frequent = {form: seen for form, seen in self.seen.items() if seen.texts >= least}
        inside = _inside_longer(frequent)
        kept = [(form, seen) for form, seen in frequent.items() if form not in inside]
        kept.sort(key=lambda pair: (-pair[1].texts, pair[0]))
        return [_candidate(seen) for _, seen in kept[:limit]]


def _inside_longer(seen: dict[str, _Seen]) -> set[str]:
    """Chinese words that are hardly ever seen but as part of a longer one."""
    return {
        part
        for word, whole in seen.items()
        if is_chinese(word)
        for n in CHINESE_WORD
        for part in (word[i : i + n] for i in range(len(word) - n + 1))
        if part != word and part in seen and whole.texts >= MOSTLY * seen[part].texts
    }


def _candidate(seen: _Seen) -> Candidate:
    [(word, _)] = seen.spellings.most_common(1)
    language = max(seen.languages, key=lambda name: (seen.languages[name], name), default=None)
    return Candidate(word, seen.texts, language, seen.example)
