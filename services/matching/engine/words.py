"""How a criterion reads: a plain sentence and codes, from its stored inputs.

Codes: `isic:1511`, `kind:training`, `sdg:9.4`, `hs:41`, `lang:en`, `bloc:COMESA`, `group:ldc`, `concept:tanning`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from services.matching.engine.lexicon import MARK
from shared.reference import classifications, countries

Surfaces = Mapping[str, str]
"""Keys of the need's terms to the words that it used."""

DEPTH_NAMES = ("", "section", "division", "group", "class")
MOST_NAMED = 6
"""Longer lists are cut in sentences, not in inputs."""


class Evidence(NamedTuple):
    """Codes for programs and words for people."""

    codes: list[str]
    words: str


def _list(items: Sequence[str]) -> str:
    named = list(items[:MOST_NAMED])
    more = len(items) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _country(code: str) -> str:
    return countries.country(code).name if countries.is_country(code) else code


def _isic(code: str) -> str:
    return f"{code} {classifications.isic_title(code)}" if classifications.is_isic(code) else code


def _shared_isic(need: str, depth: int) -> str:
    if depth == 1 and classifications.is_isic(need):
        return classifications.isic_section_of(need)
    return need[:depth]


def sector(  # noqa: D103
    surfaces: Surfaces, *, need: str | None, capability: str | None, depth: int, implied: bool, implied_factor: float
) -> Evidence:
    del surfaces, implied_factor
    if need is None or capability is None or depth == 0:
        return Evidence([], "No sector in common")
    shared = _shared_isic(need, depth)
    source = ", as the words imply" if implied else ""
    words = f"Same {DEPTH_NAMES[depth]}: {_isic(shared)}{source}"
    if need != capability:
        words += f" (need {need}, capability {capability})"
    return Evidence([f"isic:{shared}"], words)


def text(surfaces: Surfaces, *, terms: Sequence[Sequence[str | float]], **_: object) -> Evidence:  # noqa: D103
    names = [str(term[0]) for term in terms]
    concepts = [name.removeprefix(MARK) for name in names if name.startswith(MARK)]
    shared = [surfaces.get(name, name) for name in names if not name.startswith(MARK)]
    parts = []
    if concepts:
        parts.append("Same concepts: " + _list([concept.replace("_", " ") for concept in concepts]))
    if shared:
        parts.append("Shared words: " + _list(shared))
    return Evidence(
        [f"concept:{concept}" for concept in concepts], ". ".join(parts) or "No words or concepts in common"
    )


def resources(surfaces: Surfaces, *, sought: Sequence[str], covered: Sequence[str]) -> Evidence:  # noqa: D103
    del surfaces
    missing = [kind for kind in sought if kind not in covered]
    words = f"Offers {len(covered)} of {len(sought)} kinds sought: {_list(covered) or 'none'}"
    return Evidence([f"kind:{kind}" for kind in covered], words + (f"; not {_list(missing)}" if missing else ""))


def sdg(surfaces: Surfaces, *, targets: int, shared: Sequence[str], goal_only: Sequence[str]) -> Evidence:  # noqa: D103
    del surfaces
    codes = [f"sdg:{code}" for code in shared]
    codes += sorted({f"sdg:{classifications.sdg_goal_of(code)}" for code in goal_only})
    if not codes:
        return Evidence([], f"None of {targets} SDG targets in common")
    parts = [f"{len(shared)} of {targets} SDG targets: {_list(shared)}"] if shared else []
    parts += [f"same goal as {_list(goal_only)}"] if goal_only else []
    words = "; ".join(parts)
    return Evidence(codes, words[0].upper() + words[1:])


def goods(surfaces: Surfaces, *, chapters: int, common: Sequence[str]) -> Evidence:  # noqa: D103
    del surfaces
    if not common:
        return Evidence([], "No goods in common")
    named = _list([f"{chapter} {classifications.hs_label(chapter)}" for chapter in common])
    return Evidence([f"hs:{chapter}" for chapter in common], f"{len(common)} of {chapters} HS chapters: {named}")


def language(surfaces: Surfaces, *, common: Sequence[str]) -> Evidence:  # noqa: D103
    del surfaces
    words = f"Working language in common: {_list(common)}" if common else "No working language in common"
    return Evidence([f"lang:{code}" for code in common], words)


def region(surfaces: Surfaces, *, blocs: int, common: Sequence[str]) -> Evidence:  # noqa: D103
    del surfaces
    words = (
        f"In {len(common)} of {blocs} blocs together: {_list(common)}" if common else f"None of {blocs} blocs in common"
    )
    return Evidence([f"bloc:{bloc}" for bloc in common], words)


def context(  # noqa: D103
    surfaces: Surfaces,
    *,
    country: str | None,
    groups: Sequence[str],
    common: Sequence[str],
    income: int | None,
    need_income: int | None,
    worked_in: bool,
) -> Evidence:
    del surfaces, groups
    if country is None:
        return Evidence([], "The provider's country is not known")
    likes = [f"also {_list([group.upper() for group in common])}"] if common else []
    if income is not None and need_income is not None:
        steps = abs(income - need_income)
        likes.append("same income group" if steps == 0 else f"income groups {steps} apart")
    verb = "Worked in" if worked_in else "From"
    return Evidence(
        [f"group:{group}" for group in common], f"{verb} {_country(country)}: {'; '.join(likes) or 'other conditions'}"
    )


def track_record(surfaces: Surfaces, *, projects: Sequence[Sequence[str | float | None]], **_: object) -> Evidence:  # noqa: D103
    del surfaces
    if not projects:
        return Evidence([], "No completed project yet: counts as a newcomer")
    return Evidence([], f"{_many(len(projects), 'completed project')}, the latest ended on {projects[0][0]}")


def evidence(  # noqa: D103
    surfaces: Surfaces, *, practices: int, replications: int, verified: int, half_at: float
) -> Evidence:
    del surfaces, half_at
    counts = ((practices, "published practice"), (replications, "replication"), (verified, "verified document"))
    found = [_many(count, name) for count, name in counts if count]
    return Evidence([], ", ".join(found) if found else "No published practice yet")


def responsiveness(  # noqa: D103
    surfaces: Surfaces, *, in_time: int, total: int, prior: float, prior_weight: float
) -> Evidence:
    del surfaces, prior, prior_weight
    return Evidence([], f"Answered {in_time} of {total} proposals in time" if total else "Nothing to answer so far")


def trade(  # noqa: D103
    surfaces: Surfaces, *, provider_to_need: float | None, need_to_provider: float | None
) -> Evidence:
    del surfaces
    known = [index for index in (provider_to_need, need_to_provider) if index is not None]
    return Evidence(
        [], f"Trade complementarity {max(known):.2f}" if known else "No trade figures for the two countries"
    )


def _many(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


WORDS: Mapping[str, Callable[..., Evidence]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            sector,
            text,
            resources,
            sdg,
            goods,
            language,
            region,
            context,
            track_record,
            evidence,
            responsiveness,
            trade,
        )
    }
)
"""Sentence maker by criterion; call with the surfaces and the stored inputs."""
