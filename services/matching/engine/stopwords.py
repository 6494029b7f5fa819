"""Words without meaning of their own, in the seven languages; looked up casefolded, with accents.

Data: `data/stopwords.txt`, a section per language. Chinese has characters in the place of words.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

DATA = Path(__file__).parent / "data" / "stopwords.txt"


def _sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        else:
            current += line.split()
    return found


def _languages(sections: Mapping[str, list[str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language, words in sections.items():
        for word in words:
            found.setdefault(word, []).append(language)
    return MappingProxyType({word: tuple(languages) for word, languages in found.items()})


_SECTIONS = _sections()
STOP_CHARACTERS = frozenset("".join(_SECTIONS.pop("zh")))
"""Chinese function characters; a pair of characters that holds one is no word."""
STOP_WORDS = _languages(_SECTIONS)
"""Words that are passed over, each with the languages in which it is one."""
