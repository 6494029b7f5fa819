"""All criteria for many rows at once: the same values as `criteria`, a hair less exact.

Used to choose which rows get an exact, explained score. Whatever depends on the provider alone is
computed once per provider (through `criteria` itself), so each formula for it exists once.
"""

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria, inputs
from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.inputs import isic_line, isic_rank
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, hs_chapters
from services.matching.engine.prepared import Content, Frame, Offer, PreparedNeed
from services.matching.engine.store import Store
from services.matching.engine.text import Document
from shared.reference.classifications import sdg_goal_of
from shared.reference.vocabulary import ResourceKind


def candidates(store: Store, prepared: PreparedNeed, frame: Frame, quiet: frozenset[str]) -> Slots:
    """Slots of the capabilities that no hard rule excludes, as `eligibility.eligible` would say."""
    rows, need = store.rows, prepared.need
    allowed = rows.live.values & rows.published.values
    allowed &= rows.renew_by.values >= prepared.on.toordinal()
    allowed &= rows.engaged.values < rows.capacity.values
    allowed &= _common_kind(store, prepared)
    allowed &= _serves(store, prepared, frame)
    allowed &= _proposable_providers(store, prepared, frame)[rows.provider.values]
    for capability_id in quiet:
        if capability_id in store.slots:
            allowed[store.slots[capability_id]] = False
    if need.institution_id in store.providers.rows:
        allowed &= rows.provider.values != store.providers.rows[need.institution_id]
    return np.flatnonzero(allowed)


def _common_kind(store: Store, prepared: PreparedNeed) -> Bools:
    need, rows = prepared.need, store.rows
    found = rows.kinds.any_of(set(need.resource_kinds) - {ResourceKind.TRADE})
    if ResourceKind.TRADE in need.resource_kinds:
        found |= rows.kinds.any_of([ResourceKind.TRADE]) & rows.chapters.any_of(hs_chapters(need.hs))
    return found


def _serves(store: Store, prepared: PreparedNeed, frame: Frame) -> Bools:
    country, rows = prepared.need.country, store.rows
    served = rows.served_countries.any_of([country])
    served |= rows.served_blocs.any_of(frame.world.blocs(country, prepared.on))
    if frame.world.is_south(country, prepared.on):
        served |= rows.all_south.values
    return served


def _proposable_providers(store: Store, prepared: PreparedNeed, frame: Frame) -> Bools:
    need, providers = prepared.need, store.providers
    # The last entry answers for code -1, an institution without a country.
    welcome = [
        frame.world.is_south(country, prepared.on) and (need.domestic_welcome or country != need.country)
        for country in providers.countries
    ] + [False]
    by_country: Bools = np.array(welcome, dtype=np.bool_)
    found: Bools = providers.proposable.values & by_country[providers.country.values]
    return found


def scores(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:
    """Unrounded scores of the rows, within 1e-12 of the exact ones."""
    total = np.zeros(len(slots))
    for name, weight in prepared.weights.items():
        total += weight * VECTORS[name](store, prepared, frame, slots)
    return total


def sector(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: D103
    wanted = {category for code in prepared.isic for category in isic_line(code)}
    values = np.zeros(len(slots))
    for depth in range(1, 5):
        shared = store.rows.isic.any_of([c for c in wanted if isic_rank(c) == depth], slots)
        values[shared] = criteria.DEPTH_VALUES[depth]
    implied = store.rows.implied.values[slots] | prepared.implied
    return np.asarray(np.where(implied, values * frame.policy.implied_factor, values), dtype=np.float64)


def text(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: D103
    policy, statistics = frame.policy, frame.statistics
    length = store.rows.length.values
    ratio = length / statistics.average_length if statistics.average_length else np.ones(len(length))
    norm = policy.bm25_k1 * (1.0 - policy.bm25_b + policy.bm25_b * ratio)
    gained, best = np.zeros(len(length)), 0.0
    for term in prepared.query:
        weight = term.boost * criteria.idf(statistics.documents, term.df)
        best += weight
        said, tf = store.rows.postings.of(term.term)
        gained[said] += weight * (tf * (policy.bm25_k1 + 1.0) / (tf + norm[said]))
    return np.minimum(1.0, gained[slots] / best) if best else np.zeros(len(slots))


def resources(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: ARG001, D103
    sought, rows = set(prepared.need.resource_kinds), store.rows
    covered: NDArray[np.int64] = rows.kinds.count_of(sought - {ResourceKind.TRADE}, slots)
    if ResourceKind.TRADE in sought:
        goods = rows.chapters.any_of(hs_chapters(prepared.need.hs), slots)
        covered = covered + (rows.kinds.any_of([ResourceKind.TRADE], slots) & goods)
    return covered.astype(np.float64) / len(sought)


def sdg(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: ARG001, D103
    values, wanted = np.zeros(len(slots)), set(prepared.need.sdg_targets)
    for target in wanted:
        shared = store.rows.targets.any_of([target], slots)
        near = store.rows.goals.any_of([sdg_goal_of(target)], slots)
        values += np.where(shared, 1.0, np.where(near, 0.5, 0.0))
    return values / len(wanted)


def language(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: ARG001, D103
    wanted = set(prepared.need.languages)
    providers = np.array([not wanted.isdisjoint(facts.languages) for facts in store.providers.facts], dtype=np.bool_)
    own = store.rows.languages.any_of(wanted, slots)
    inherited = providers[store.rows.provider.values[slots]] & ~store.rows.own_languages.values[slots]
    found: Floats = (own | inherited).astype(np.float64)
    return found


def evidence(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:  # noqa: ARG001, D103
    counts = [facts.practices + 2 * facts.replications for facts in store.providers.facts]
    published: Floats = np.array(counts, dtype=np.float64)
    points: Floats = published[store.rows.provider.values[slots]] + store.rows.evidence.values[slots]
    return points / (points + frame.policy.evidence_half_at)


def _by_provider(name: str) -> Callable[[Store, PreparedNeed, Frame, Slots], Floats]:
    """Make a criterion of need and provider alone: computed once per distinct provider of the rows."""

    def vector(store: Store, prepared: PreparedNeed, frame: Frame, slots: Slots) -> Floats:
        rows, inverse = np.unique(store.rows.provider.values[slots], return_inverse=True)
        values = [_provider_value(name, prepared, store.providers.facts[row], frame) for row in rows.tolist()]
        return np.array(values, dtype=np.float64)[inverse] if values else np.zeros(0)

    return vector


_NOTHING = Content(Document(0, {}), (), implied=False)


def provider_offer(facts: InstitutionFacts, on: date) -> Offer:
    """Give an institution without any offer, for criteria that look at the institution alone."""
    return Offer(CapabilityFacts("", 0, facts.id, "", "", (), on), facts, _NOTHING)


def _provider_value(name: str, prepared: PreparedNeed, facts: InstitutionFacts, frame: Frame) -> float:
    return criteria.VALUES[name](**inputs.INPUTS[name](prepared, provider_offer(facts, prepared.on), frame))


VECTORS: Mapping[str, Callable[[Store, PreparedNeed, Frame, Slots], Floats]] = MappingProxyType(
    {
        "sector": sector,
        "text": text,
        "resources": resources,
        "sdg": sdg,
        "language": language,
        "region": _by_provider("region"),
        "context": _by_provider("context"),
        "track_record": _by_provider("track_record"),
        "evidence": evidence,
        "responsiveness": _by_provider("responsiveness"),
        "trade": _by_provider("trade"),
    }
)
"""Values of many rows by criterion."""
