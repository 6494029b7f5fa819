"""Words without meaning of their own, in the seven languages; looked up casefolded, with accents.

Data: `data/stopwords.txt`, a section per language. Chinese has characters in the place of words.
"""

from pathlib import Path

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


_SECTIONS = _sections()
STOP_CHARACTERS = frozenset("".join(_SECTIONS.pop("zh")))
"""Chinese function characters; a pair of characters that holds one is no word."""
STOP_WORDS = frozenset(word for words in _SECTIONS.values() for word in words)
