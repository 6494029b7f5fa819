"""From facts to the inputs of each criterion: what is stored with a match, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from services.matching.engine import criteria, eligibility
from services.matching.engine.model import CompletedProject, InstitutionFacts, hs_chapters
from services.matching.engine.policy import Policy
from services.matching.engine.prepared import Frame, Offer, PreparedNeed
from services.matching.engine.world import World
from shared.reference import classifications

Inputs = dict[str, Any]
"""Keyword arguments of a value function, JSON-able."""

MOST_PROJECTS = 8
"""The newest completed projects that count: a bound on what is stored; older ones hardly weigh."""
MOST_LANGUAGES = 5
"""One common language is enough for the value, so a few name it well."""


@lru_cache(maxsize=8192)
def isic_line(code: str) -> tuple[str, ...]:
    """Give a code and its wider categories up to the section; an unknown code is only itself."""
    return (code, *classifications.isic_ancestors(code)) if classifications.is_isic(code) else (code,)


def isic_rank(code: str) -> int:
    """Depth of a category: section 1, division 2, group 3, class 4."""
    return len(code) if code.isdigit() else 1


@lru_cache(maxsize=65_536)
def common_depth(a: str, b: str) -> int:
    """Depth of the most exact category that two ISIC codes share, 0 when not even the section."""
    return max((isic_rank(code) for code in set(isic_line(a)) & set(isic_line(b))), default=0)


def sector(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """Find the best pair of codes; of equally good ones a stated one, then the first by code."""
    factor = frame.policy.implied_factor
    stated = _nearest(prepared.need.isic, offer.content.isic, implied=False, factor=factor)
    wanted, offered = prepared.need.isic + prepared.implied, offer.content.isic + offer.content.implied
    implied = _nearest(wanted, offered, implied=True, factor=factor)
    return max(stated, implied, key=lambda inputs: (inputs["need"] is not None, criteria.sector(**inputs)))


def _nearest(wanted: tuple[str, ...], offered: tuple[str, ...], *, implied: bool, factor: float) -> Inputs:
    pairs = ((common_depth(a, b), a, b) for a in wanted for b in offered)
    depth, need, capability = min(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]), default=(0, None, None))
    return {"need": need, "capability": capability, "depth": depth, "implied": implied, "implied_factor": factor}


def text(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """Shared terms with their counts, the frequencies of the others, and the collection's measures."""
    said = offer.content.document.frequencies
    shared = [[term.term, said[term.term], term.df, term.boost] for term in prepared.query if term.term in said]
    others = [[term.df, term.boost] for term in prepared.query if term.term not in said]
    return {
        "terms": shared,
        "unmatched": others,
        "documents": frame.statistics.documents,
        "average_length": frame.statistics.average_length,
        "length": offer.content.document.length,
        "k1": frame.policy.bm25_k1,
        "b": frame.policy.bm25_b,
    }


def resources(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """Kinds sought, and those of them that are offered."""
    covered = eligibility.common_kinds(prepared.need, offer.capability)
    return {"sought": sorted(set(prepared.need.resource_kinds)), "covered": sorted(covered)}


def sdg(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """Targets in common, and those of which only the goal is."""
    wanted = sorted(set(prepared.need.sdg_targets))
    offered = set(offer.capability.sdg_targets)
    goals = {classifications.sdg_goal_of(target) for target in offered}
    shared = [target for target in wanted if target in offered]
    near = [t for t in wanted if t not in offered and classifications.sdg_goal_of(t) in goals]
    return {"targets": len(wanted), "shared": shared, "goal_only": near}


def goods(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """HS chapters of the need, and those of them that the capability names."""
    chapters = hs_chapters(prepared.need.hs)
    return {"chapters": len(chapters), "common": sorted(chapters & hs_chapters(offer.capability.hs))}


def language(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """Working languages in common."""
    common = set(prepared.need.languages) & set(working_languages(offer))
    return {"common": sorted(common)[:MOST_LANGUAGES]}


def working_languages(offer: Offer) -> tuple[str, ...]:
    """Take the capability's own, else the provider's (contract, section 18)."""
    return offer.capability.languages or offer.provider.languages


def region(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """Blocs of the need's country, and those that the provider's country shares."""
    country = offer.provider.country
    blocs = frame.world.blocs(country, prepared.on) if country else frozenset()
    return {"blocs": len(prepared.blocs), "common": sorted(prepared.blocs & blocs)}


def context(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """Find the country most like the need's among the provider's own and those it has worked in."""
    found = [_likeness(prepared, country, frame.world, home=home) for country, home in _known_countries(offer.provider)]
    nowhere = _likeness(prepared, None, frame.world, home=True)
    return max(found, key=lambda inputs: criteria.context(**inputs), default=nowhere)


def _known_countries(provider: InstitutionFacts) -> list[tuple[str, bool]]:
    worked = sorted({country for project in provider.completed for country in project.countries})
    home = [(provider.country, True)] if provider.country else []
    return home + [(country, False) for country in worked if country != provider.country]


def _likeness(prepared: PreparedNeed, country: str | None, world: World, *, home: bool) -> Inputs:
    groups = world.groups(country, prepared.on) if country else frozenset()
    return {
        "country": country,
        "groups": list(prepared.groups),
        "common": [group for group in prepared.groups if group in groups],
        "income": world.income(country, prepared.on) if country else None,
        "need_income": prepared.income,
        "worked_in": not home,
    }


def track_record(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """List the newest completed projects, and the constants of the formula."""
    return record(frame.policy, offer.provider.completed, prepared.on)


def record(policy: Policy, projects: Sequence[CompletedProject], on: date) -> Inputs:
    """The same from projects alone."""
    newest = sorted(projects, key=lambda p: (p.ended_on, -1.0 if p.rating is None else p.rating), reverse=True)
    return {
        "projects": [[p.ended_on.isoformat(), p.rating] for p in newest[:MOST_PROJECTS]],
        "on": on.isoformat(),
        "half_life_days": policy.half_life_days,
        "unrated": policy.unrated,
        "prior": policy.prior,
        "prior_weight": policy.prior_weight,
    }


def evidence(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """Count what is published, replicated and verified."""
    return {
        "practices": offer.provider.practices,
        "replications": offer.provider.replications,
        "verified": offer.capability.verified_evidence,
        "half_at": frame.policy.evidence_half_at,
    }


def responsiveness(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:  # noqa: ARG001
    """How many proposals the provider had to answer, and how many it answered in time."""
    return {
        "in_time": offer.provider.answered_in_time,
        "total": offer.provider.answerable,
        "prior": frame.policy.prior,
        "prior_weight": frame.policy.prior_weight,
    }


def trade(prepared: PreparedNeed, offer: Offer, frame: Frame) -> Inputs:
    """Complementarity in both directions."""
    home, away = prepared.need.country, offer.provider.country
    if away is None:
        return {"provider_to_need": None, "need_to_provider": None}
    return {
        "provider_to_need": frame.world.complementarity(away, home, prepared.on),
        "need_to_provider": frame.world.complementarity(home, away, prepared.on),
    }


INPUTS: Mapping[str, Callable[[PreparedNeed, Offer, Frame], Inputs]] = MappingProxyType(
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
"""Collector of inputs by criterion."""
