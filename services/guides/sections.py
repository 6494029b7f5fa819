"""Guides with generated sections: found by their markers, filled in, compared.

A section of a Markdown file stands between `<!-- generated: states registry -->` and `<!-- end -->`; of `.env.example`
between the same words after `#`. The first word names the maker, the rest are its arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.guides.events import heard, partners, published
from services.guides.settings import environment, settings
from services.guides.states import states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAKERS: dict[str, Callable[..., str]] = {
    "environment": environment,
    "heard": heard,
    "partners": partners,
    "published": published,
    "settings": settings,
    "states": states,
}
GUIDES = ("README.md", ".env.example", "deploy/README.md", "shared/contracts/README.md", "services/*/README.md")
_OPEN = r"^(?P<open>(?:<!--|#) generated: (?P<name>\w+) ?(?P<words>[\w ]*?)(?: -->)?)\n"
_SECTION = re.compile(_OPEN + r".*?^(?P<close>(?:<!-- end -->|# end))$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Guide:
    """A file as it is and as it should be."""

    name: str
    present: str
    wanted: str


def guides(root: Path) -> Iterator[Guide]:
    """Every file that has generated sections."""
    for pattern in GUIDES:
        for file in sorted(root.glob(pattern)):
            present = file.read_text(encoding="utf-8")
            wanted = _SECTION.sub(_filled, present)
            if _SECTION.search(present):
                yield Guide(str(file.relative_to(root)), present, wanted)


def _filled(section: re.Match[str]) -> str:
    made = MAKERS[section["name"]](*section["words"].split())
    return f"{section['open']}\n{made.strip()}\n{section['close']}"


def write(root: Path) -> list[str]:
    """Fills in what is stale; the names of the files that changed."""
    stale = [guide for guide in guides(root) if guide.present != guide.wanted]
    for guide in stale:
        (root / guide.name).write_text(guide.wanted, encoding="utf-8")
    return [guide.name for guide in stale]


def stale(root: Path) -> list[str]:
    """The files whose sections differ from the code."""
    return [guide.name for guide in guides(root) if guide.present != guide.wanted]
