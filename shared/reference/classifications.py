"""Sectors (ISIC Rev.4), goods (HS 2022), goals (SDG) and the ties between the first two and CRS.

Codes are strings, leading zeros kept. Sources and licences of the lists: `data/README.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from shared.reference.load import DATA, rows


class Depth(StrEnum):
    """How exactly two ISIC codes agree, most exact first."""

    CLASS = "class"
    GROUP = "group"
    DIVISION = "division"
    SECTION = "section"


@dataclass(frozen=True, slots=True)
class Isic:
    """One category of ISIC Rev.4: section (letter), division, group or class (2, 3, 4 digits)."""

    code: str
    section: str
    title: str


@cache
def isic() -> Mapping[str, Isic]:
    """Give all categories by code, in the order of the classification."""
    found = (Isic(row["code"], row["section"], row["title"]) for row in rows("isic4.csv"))
    return MappingProxyType({category.code: category for category in found})


def is_isic(code: str) -> bool:
    """Tell whether it is a section letter or a code of 2 to 4 digits of ISIC Rev.4."""
    return code in isic()


def isic_title(code: str) -> str:
    """Give the English title. KeyError when unknown."""
    return isic()[code].title


def isic_section_of(code: str) -> str:
    """Give the section letter: `"C"` for `"1511"`. KeyError when unknown."""
    return isic()[code].section


@cache
def isic_ancestors(code: str) -> tuple[str, ...]:
    """Give the wider categories, nearest first: `("151", "15", "C")` for `"1511"`. KeyError when unknown."""
    section = isic_section_of(code)
    wider = tuple(code[:length] for length in range(len(code) - 1, 1, -1))
    return () if code == section else (*wider, section)


def common_depth(a: str, b: str) -> Depth | None:
    """Tell the most exact category that two ISIC codes share, None when not even the section.

    Two divisions agree at most as divisions: `("15", "1511")` is `division`. KeyError when unknown.
    """
    shared = {a, *isic_ancestors(a)} & {b, *isic_ancestors(b)}
    return isic_depth(max(shared, key=_digits)) if shared else None


def isic_depth(code: str) -> Depth:
    """Tell whether a code is a class, group, division or section."""
    return {0: Depth.SECTION, 2: Depth.DIVISION, 3: Depth.GROUP, 4: Depth.CLASS}[_digits(code)]


def _digits(code: str) -> int:
    return len(code) if code.isdigit() else 0


@cache
def hs() -> frozenset[str]:
    """Give every code of HS 2022: 96 chapters, 1228 headings, 5612 subheadings."""
    lines = (DATA / "hs2022.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(code for line in lines for code in _heading(line))


def _heading(line: str) -> list[str]:
    heading, *ends = line.split()
    return [heading[:2], heading, *(heading + end for end in ends)]


def is_hs(code: str) -> bool:
    """Tell whether it is a chapter (2 digits), heading (4) or subheading (6) of HS 2022."""
    return code in hs()


@cache
def hs_chapters() -> Mapping[str, str]:
    """Give the chapters with our own short labels (the official titles belong to the WCO)."""
    return MappingProxyType({row["chapter"]: row["label"] for row in rows("hs_chapters.csv")})


def hs_label(code: str) -> str:
    """Give the label of a code's chapter. KeyError when unknown."""
    return hs_chapters()[code[:2]]


@cache
def sdg() -> Mapping[str, str]:
    """Give goals (`"9"`) and targets (`"9.2"`, `"9.a"`) with our own short labels."""
    goals = {row["goal"]: row["label"] for row in rows("sdg_goals.csv")}
    targets = {row["target"]: row["label"] for row in rows("sdg_targets.csv")}
    return MappingProxyType(goals | targets)


def is_sdg(code: str) -> bool:
    """Tell whether it is a goal or a target of the 2030 Agenda."""
    return code in sdg()


def sdg_label(code: str) -> str:
    """Give our short label of a goal or target. KeyError when unknown."""
    return sdg()[code]


def sdg_goal_of(code: str) -> str:
    """Give the goal of a target, or the goal itself: `"9"` for `"9.2"`."""
    return code.partition(".")[0]


@dataclass(frozen=True, slots=True)
class SectorLinks:
    """What an ISIC category corresponds to elsewhere: proposed by us, there is no standard.

    `crs`: purpose codes of the OECD, primary one first. `hs_chapters`: goods it makes or needs.
    `source`: where the proposal comes from.
    """

    isic: str
    crs: tuple[str, ...]
    hs_chapters: tuple[str, ...]
    source: str


@cache
def _sector_links() -> Mapping[str, SectorLinks]:
    found: dict[str, SectorLinks] = {}
    ranked = sorted(rows("isic_crs_hs.csv"), key=lambda row: row["crs_rank"] != "primary")
    for row in ranked:
        before = found.get(row["isic"])
        crs = (*(before.crs if before else ()), row["crs"])
        found[row["isic"]] = SectorLinks(row["isic"], crs, tuple(row["hs_chapters"].split()), row["source"])
    return found


def sector_links(code: str) -> SectorLinks | None:
    """Give the links of an ISIC code or of the nearest wider one that has any; None for a section."""
    nearest = (code, *isic_ancestors(code))
    return next((_sector_links()[near] for near in nearest if near in _sector_links()), None)


def hs_chapters_of(code: str) -> tuple[str, ...]:
    """Give the HS chapters of an ISIC code; empty for services and sections. KeyError when unknown."""
    links = sector_links(code)
    return links.hs_chapters if links else ()


def crs_of(code: str) -> tuple[str, ...]:
    """Give the CRS purpose codes of an ISIC code, primary first; may be empty. KeyError when unknown."""
    links = sector_links(code)
    return links.crs if links else ()
