"""The concept files: reading, and all that must hold before the engine takes them.

One concept is a block; the first line is its id, indented lines give its fields:

    tanning
      broader: leather
      isic: 1511
      hs: 41
      sdg: 12.4
      en: tanning; tannery; tanneries
      fr: tannage; tannerie

Labels are parted by semicolons, the preferred one first; codes and broader concepts by spaces. A label that
begins with `?` is ambiguous: its letters also mean something else, in this language or in another one, so
it counts only in texts of its own language. Lines that begin with `#` are comments.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from shared.reference import classifications

LANGUAGES = ("en", "fr", "es", "pt", "ar", "zh", "ru")
FOLDER = Path(__file__).parent / "data" / "concepts"
AMBIGUOUS = "?"
ID = re.compile(r"[a-z][a-z0-9_]{1,47}")
CODES: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {"isic": classifications.is_isic, "hs": classifications.is_hs, "sdg": classifications.is_sdg}
)
FIELDS = ("broader", *CODES, *LANGUAGES)


class LexiconError(ValueError):
    """The concept files cannot be used; the message names every fault, one a line."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One idea of the field: labels by language, the preferred first; `broader` is what it also counts as."""

    id: str
    labels: Mapping[str, tuple[str, ...]]
    isic: tuple[str, ...] = ()
    hs: tuple[str, ...] = ()
    sdg: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()
    where: str = field(default="", compare=False)

    def names(self) -> Iterator[tuple[str, str, bool]]:
        """Give (language, label, whether it is ambiguous) of each label."""
        for language, labels in self.labels.items():
            for label in labels:
                yield language, label.removeprefix(AMBIGUOUS), label.startswith(AMBIGUOUS)


def read(folder: Path = FOLDER) -> list[Concept]:
    """Give the concepts of all `*.txt` files of a folder, in the order of files and lines. LexiconError if faulty."""
    concepts: list[Concept] = []
    faults: list[str] = []
    for path in sorted(folder.glob("*.txt")):
        blocks = _blocks(path.name, path.read_text(encoding="utf-8"), faults)
        concepts += [_concept(block, faults) for block in blocks]
    faults += faults_of(concepts)
    if faults or not concepts:
        raise LexiconError("\n".join(faults) or f"No concept in {folder}")
    return concepts


@dataclass(slots=True)
class _Block:
    where: str
    id: str
    fields: dict[str, str] = field(default_factory=dict)


def _blocks(name: str, text: str, faults: list[str]) -> Iterator[_Block]:
    block: _Block | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            if block:
                yield block
            block = _Block(where, line.strip())
        elif block is None:
            faults.append(f"{where}: a field before the first concept")
        else:
            _take_field(block, where, line, faults)
    if block:
        yield block


def _take_field(block: _Block, where: str, line: str, faults: list[str]) -> None:
    name, colon, value = line.strip().partition(":")
    if not colon or name not in FIELDS:
        faults.append(f"{where}: {name!r} is no field; there are {', '.join(FIELDS)}")
    elif name in block.fields:
        faults.append(f"{where}: {name} stands twice in {block.id}")
    else:
        block.fields[name] = value.strip()


def _concept(block: _Block, faults: list[str]) -> Concept:
    fields = block.fields
    labels = {language: _labels(fields.get(language, "")) for language in LANGUAGES}
    for language, found in labels.items():
        faults += [
            f"{block.where}: {language} of {block.id} says {x!r} twice" for x, n in Counter(found).items() if n > 1
        ]
    return Concept(
        id=block.id,
        labels=labels,
        isic=tuple(fields.get("isic", "").split()),
        hs=tuple(fields.get("hs", "").split()),
        sdg=tuple(fields.get("sdg", "").split()),
        broader=tuple(fields.get("broader", "").split()),
        where=block.where,
    )


def _labels(value: str) -> tuple[str, ...]:
    return tuple(label.strip() for label in value.split(";") if label.strip())


def faults_of(concepts: Sequence[Concept]) -> list[str]:
    """What is wrong with the concepts themselves; folded labels are checked by the index of phrases."""
    known = {concept.id: concept for concept in concepts}
    faults = [f"The id {name} stands {n} times" for name, n in Counter(c.id for c in concepts).items() if n > 1]
    for concept in concepts:
        faults += [f"{concept.where}: {fault}" for fault in _faults(concept, known)]
    return faults


def _faults(concept: Concept, known: Mapping[str, Concept]) -> Iterator[str]:
    if not ID.fullmatch(concept.id):
        yield f"{concept.id!r} is no id: small letters, digits and _, at most 48"
    for language in LANGUAGES:
        if not concept.labels.get(language):
            yield f"{concept.id} has no label in {language}"
    for kind, exists in CODES.items():
        for code in getattr(concept, kind):
            if not exists(code):
                yield f"{concept.id}: there is no {kind} code {code}"
    for broader in concept.broader:
        if broader not in known:
            yield f"{concept.id}: there is no broader concept {broader}"
    if concept.id in _above(concept, known):
        yield f"{concept.id} is broader than itself"


def _above(concept: Concept, known: Mapping[str, Concept]) -> set[str]:
    found: set[str] = set()
    waiting = list(concept.broader)
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found.add(name)
            waiting += known[name].broader
    return found
