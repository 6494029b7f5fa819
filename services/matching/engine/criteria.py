"""One pure function per criterion: from the inputs that a match stores to a value in 0..1.

The arguments are exactly the stored inputs, JSON-able and small, and hold every constant of the
formula. So a value can be computed again for ever, whatever policy, lexicon or index came later.
Facts become inputs in `inputs`, inputs become sentences in `words`.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date
from types import MappingProxyType

DEPTH_VALUES = (0.0, 0.2, 0.5, 0.8, 1.0)
"""Value by depth of the common ISIC ancestor: none, section, division, group, class."""


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


def sector(*, need: str | None, capability: str | None, depth: int, implied: bool, implied_factor: float) -> float:
    """Best pair of ISIC Rev.4 codes by depth of their common ancestor: class 1, group .8, division .5, section .2.

    Source: design of the first policy. A pair of which one code is not stated but implied by the words (through
    the lexicon) counts `implied_factor` of that. `need` and `capability` are the best pair, or None.
    """
    if need is None or capability is None:
        return 0.0
    return DEPTH_VALUES[depth] * (implied_factor if implied else 1.0)


def text(
    *,
    terms: Sequence[Sequence[str | int | float]],
    unmatched: Sequence[Sequence[int | float]],
    documents: int,
    average_length: float,
    length: float,
    k1: float,
    b: float,
) -> float:
    """BM25 of the need's terms over the capability, divided by the need's own best possible score, at most 1.

    BM25 = sum of boost * idf(df) * tf (k1 + 1) / (tf + k1 (1 - b + b length / average_length)) with
    idf = ln(1 + (N - df + .5) / (df + .5)); source: Robertson and Zaragoza, The Probabilistic
    Relevance Framework (2009), idf as in Lucene. Best possible = the same sum for a capability of
    average length that says each term once, i.e. the sum of boost * idf. `terms` are the shared ones
    as [term, tf, df, boost], `unmatched` the need's others as [df, boost].
    """
    norm = k1 * (1.0 - b + b * (length / average_length if average_length else 1.0))
    gained = best = 0.0
    for _, tf, df, boost in terms:
        weight = float(boost) * idf(documents, float(df))
        gained += weight * (float(tf) * (k1 + 1.0) / (float(tf) + norm))
        best += weight
    for df, boost in unmatched:
        best += float(boost) * idf(documents, float(df))
    return _clamp(gained / best) if best else 0.0


def idf(documents: int, document_frequency: float) -> float:
    """Inverse document frequency ln(1 + (N - df + .5) / (df + .5)), never negative."""
    df = min(document_frequency, documents)
    return math.log(1.0 + (documents - df + 0.5) / (df + 0.5))


def resources(*, sought: Sequence[str], covered: Sequence[str]) -> float:
    """Share of the resource kinds sought that are offered: |covered| / |sought|."""
    return len(covered) / len(sought) if sought else 0.0


def sdg(*, targets: int, shared: Sequence[str], goal_only: Sequence[str]) -> float:
    """Share of the need's SDG targets covered: (|shared targets| + .5 |same goal only|) / |targets|."""
    return (len(shared) + 0.5 * len(goal_only)) / targets if targets else 0.0


def goods(*, chapters: int, common: Sequence[str]) -> float:
    """Share of the need's HS chapters that the capability names too: |common| / chapters.

    An ISIC class such as 3510 or 1311 holds very different trades; the goods tell them apart.
    """
    return len(common) / chapters if chapters else 0.0


def language(*, common: Sequence[str]) -> float:
    """1 with a common working language, else 0."""
    return 1.0 if common else 0.0


def region(*, blocs: int, common: Sequence[str]) -> float:
    """Share of the need country's blocs that the provider's country is in on the day."""
    return len(common) / blocs if blocs else 0.0


def context(
    *,
    country: str | None,
    groups: Sequence[str],
    common: Sequence[str],
    income: int | None,
    need_income: int | None,
    worked_in: bool,  # noqa: ARG001
) -> float:
    """Likeness of conditions of the need's country and `country`: where the provider is from, or worked.

    Mean of the parts that are known of the need's country: share of its groups (LDC, LLDC, SIDS) in
    common, and 1 - (steps between the World Bank income groups) / 3; 0 for a part unknown of the other.
    """
    if country is None:
        return 0.0
    parts = [len(common) / len(groups)] if groups else []
    if need_income is not None:
        parts.append(0.0 if income is None else 1.0 - abs(income - need_income) / 3)
    return sum(parts) / len(parts) if parts else 0.0


def track_record(
    *,
    projects: Sequence[Sequence[str | float | None]],
    on: str,
    half_life_days: int,
    unrated: float,
    prior: float,
    prior_weight: float,
) -> float:
    """Mean rating of completed projects, newer ones weighing more, shrunk towards a prior.

    (prior_weight * prior + sum w_i r_i) / (prior_weight + sum w_i), w_i = .5 ** (age / half life); a
    project not yet rated counts as `unrated`. `projects` are [ended_on, rating], newest first. The
    Bayesian mean keeps a newcomer at the prior instead of zero.
    """
    today = date.fromisoformat(on)
    gained, weight = prior_weight * prior, prior_weight
    for ended_on, rating in projects:
        age_days = max(0, (today - date.fromisoformat(str(ended_on))).days)
        share = 0.5 ** (age_days / half_life_days)
        gained += share * (unrated if rating is None else float(rating))
        weight += share
    return _clamp(gained / weight)


def evidence(*, practices: int, replications: int, verified: int, half_at: float) -> float:
    """Points p / (p + half_at), p = practices published + 2 * replications + verified evidence.

    Saturating: the first practice tells more than the tenth, and replication elsewhere tells most.
    """
    points = practices + 2 * replications + verified
    return points / (points + half_at)


def responsiveness(*, in_time: int, total: int, prior: float, prior_weight: float) -> float:
    """Share of expressions answered in time, shrunk: (prior_weight * prior + in_time) / (prior_weight + total)."""
    return _clamp((prior_weight * prior + in_time) / (prior_weight + total))


def trade(*, provider_to_need: float | None, need_to_provider: float | None) -> float:
    """Michaely complementarity of the two countries' trade by HS chapter, the better direction.

    A trade need may seek a buyer or a seller, so both directions are looked at; see `world.michaely`.
    """
    known = [index for index in (provider_to_need, need_to_provider) if index is not None]
    return _clamp(max(known)) if known else 0.0


VALUES: MappingProxyType[str, Callable[..., float]] = MappingProxyType(
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
"""Value function by criterion; call with the stored inputs as keywords."""
