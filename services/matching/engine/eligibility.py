"""The hard rules: who may be proposed to whom. A score never outweighs them.

One predicate per rule; it is true when the rule excludes the pair. `RULES` gives each its reason
code. The codes are shown to people who ask why an expected provider is missing.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from services.matching.engine.model import (
    PUBLISHED,
    SUSPENDED,
    VERIFIED,
    CapabilityFacts,
    InstitutionFacts,
    NeedFacts,
    hs_chapters,
)
from services.matching.engine.world import World
from shared.reference.vocabulary import InstitutionType, ResourceKind


@dataclass(frozen=True, slots=True)
class Pair:
    """A need and a capability on a day; `quiet` holds capabilities not to be proposed again yet."""

    need: NeedFacts
    capability: CapabilityFacts
    provider: InstitutionFacts
    on: date
    world: World
    quiet: AbstractSet[str] = frozenset()


def common_kinds(need: NeedFacts, capability: CapabilityFacts) -> frozenset[str]:
    """Resource kinds sought and offered; trade counts only with an HS chapter in common."""
    kinds = frozenset(need.resource_kinds) & frozenset(capability.resource_kinds)
    if ResourceKind.TRADE in kinds and hs_chapters(need.hs).isdisjoint(hs_chapters(capability.hs)):
        return kinds - {ResourceKind.TRADE}
    return kinds


def facilitating_only(provider: InstitutionFacts) -> bool:
    """Multilaterals, and banks without a country, are partners of a pair and never a side of it."""
    return provider.country is None or provider.type == InstitutionType.MULTILATERAL


def no_common_resource_kind(pair: Pair) -> bool:
    """Nothing that is sought is offered."""
    return frozenset(pair.need.resource_kinds).isdisjoint(pair.capability.resource_kinds)


def no_common_hs_chapter(pair: Pair) -> bool:
    """Trade is all they have in common, and their goods differ."""
    return not no_common_resource_kind(pair) and not common_kinds(pair.need, pair.capability)


def not_published(pair: Pair) -> bool:
    """Exclude a draft, a withdrawn and an expired offer."""
    return pair.capability.status != PUBLISHED


def renewal_overdue(pair: Pair) -> bool:
    """Past its renewal date; the day itself still counts."""
    return pair.capability.renew_by < pair.on


def provider_not_verified(pair: Pair) -> bool:
    """Exclude who has not passed due diligence, or not yet again."""
    return pair.provider.status not in {VERIFIED, SUSPENDED}


def provider_suspended(pair: Pair) -> bool:
    """Exclude a suspended provider."""
    return pair.provider.status == SUSPENDED


def country_not_served(pair: Pair) -> bool:
    """Exclude when the need's country is in no list, no bloc as of the day, and no all-South offer."""
    serves, country = pair.capability.serves, pair.need.country
    return not (
        country in serves.countries
        or (serves.all_south and pair.world.is_south(country, pair.on))
        or not pair.world.blocs(country, pair.on).isdisjoint(serves.blocs)
    )


def multilateral_only_facilitating(pair: Pair) -> bool:
    """Body without a country or a multilateral: welcome as facilitating partner only."""
    return facilitating_only(pair.provider)


def provider_not_in_south(pair: Pair) -> bool:
    """Keep the pivotal role for the South; the North facilitates."""
    country = pair.provider.country
    return country is not None and not facilitating_only(pair.provider) and not pair.world.is_south(country, pair.on)


def domestic_not_welcome(pair: Pair) -> bool:
    """Both are of one country, and the need looks abroad."""
    return pair.provider.country == pair.need.country and not pair.need.domestic_welcome


def no_free_capacity(pair: Pair) -> bool:
    """Every place is taken by an engagement."""
    return pair.capability.engaged >= pair.capability.capacity


def declined_recently(pair: Pair) -> bool:
    """Leave a pair alone that was declined or expired within the policy's quiet period."""
    return pair.capability.id in pair.quiet


def own_institution(pair: Pair) -> bool:
    """Nobody is matched with itself."""
    return pair.capability.institution_id == pair.need.institution_id


RULES: tuple[tuple[str, Callable[[Pair], bool]], ...] = tuple(
    (rule.__name__, rule)
    for rule in (
        no_common_resource_kind,
        no_common_hs_chapter,
        not_published,
        renewal_overdue,
        provider_not_verified,
        provider_suspended,
        country_not_served,
        multilateral_only_facilitating,
        provider_not_in_south,
        domestic_not_welcome,
        no_free_capacity,
        declined_recently,
        own_institution,
    )
)
"""Reason code and predicate, in the order in which codes are listed."""


def reasons(pair: Pair) -> list[str]:
    """All reason codes that exclude the pair, empty when it is eligible."""
    return [code for code, excludes in RULES if excludes(pair)]


def eligible(pair: Pair) -> bool:
    """Whether no rule excludes the pair; stops at the first that does."""
    return not any(excludes(pair) for _, excludes in RULES)
