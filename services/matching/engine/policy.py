"""The policy: every number and switch that a ranking depends on, as versioned data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

CRITERIA = (
    "sector",
    "text",
    "resources",
    "sdg",
    "goods",
    "language",
    "region",
    "context",
    "track_record",
    "evidence",
    "responsiveness",
    "trade",
)
"""Names of the criteria in the fixed order in which contributions are added."""

TOLERANCE = 1e-9
SMALLEST_RESOURCE_SHARE = 1 / 8
"""There are eight resource kinds, so an eligible pair shares at least one of eight."""


def _frozen(**values: float) -> Mapping[str, float]:
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the rules; a stored match names the version it was made under.

    `weights` cover all of CRITERIA and sum to 1. `urgency_weights` and `status_weights` make a
    need's priority, `facilitator_weights` rank facilitating partners.
    Text: `need_terms` bounds what a match must store; a term counts `concept_boost` when it is a
    concept of the lexicon, and `focus_boost` when the need's title or technologies say it.
    ISIC codes that only the words imply count `implied_factor`.
    Records: a project weighs half after `half_life_days`, an unrated one counts `unrated`; shares
    are shrunk towards `prior` with the weight of `prior_weight` observations.
    Rounds: `ldc_reserve` is the share of every provider's places that only needs of LDCs may take.
    """

    version: int
    weights: Mapping[str, float]
    threshold: float = 0.30
    k: int = 10
    quiet_days: int = 180
    regional_cooperation: bool = True
    bm25_k1: float = 1.2
    bm25_b: float = 0.75
    need_terms: int = 28
    concept_boost: float = 2.0
    focus_boost: float = 2.0
    implied_factor: float = 0.8
    half_life_days: int = 5 * 365
    unrated: float = 0.75
    prior: float = 0.5
    prior_weight: float = 2.0
    evidence_half_at: float = 3.0
    ldc_reserve: float = 0.0
    urgency_weights: Mapping[str, float] = field(
        default_factory=lambda: _frozen(low=0.75, medium=1.0, high=1.25, critical=1.5)
    )
    status_weights: Mapping[str, float] = field(default_factory=lambda: _frozen(ldc=1.5, lldc=1.2, sids=1.2))
    facilitator_weights: Mapping[str, float] = field(
        default_factory=lambda: _frozen(covers=0.50, sector=0.15, language=0.10, track_record=0.15, responsiveness=0.10)
    )

    def __post_init__(self) -> None:
        """Refuse a policy that could not be explained: unknown names, or a sum other than 1."""
        if set(self.weights) != set(CRITERIA):
            msg = f"weights must name exactly {', '.join(CRITERIA)}"
            raise ValueError(msg)
        if min(self.weights.values()) < 0 or abs(sum(self.weights.values()) - 1) > TOLERANCE:
            msg = "weights must be at least 0 and sum to 1"
            raise ValueError(msg)

    def __hash__(self) -> int:
        """By version; two policies of one version with other numbers are still unequal."""
        return hash(self.version)

    def spread(self, applicable: frozenset[str]) -> dict[str, float]:
        """Weights of the applicable criteria, scaled so that they sum to 1, in the fixed order."""
        names = [name for name in CRITERIA if name in applicable]
        total = sum(self.weights[name] for name in names)
        return {name: self.weights[name] / total for name in names} if total else {}

    @property
    def guaranteed_floor(self) -> float:
        """Least score of a pair that shares an ISIC class, a resource kind and a language.

        All criteria apply and all others are 0. Fewer applicable criteria only raise the three
        weights, so this is the minimum; the contract wants it above the threshold.
        """
        weights = self.weights
        return weights["sector"] + weights["language"] + weights["resources"] * SMALLEST_RESOURCE_SHARE


POLICY_1 = Policy(
    version=1,
    weights=_frozen(
        sector=0.25,
        text=0.36,
        resources=0.08,
        sdg=0.05,
        goods=0.04,
        language=0.06,
        region=0.02,
        context=0.02,
        track_record=0.04,
        evidence=0.03,
        responsiveness=0.02,
        trade=0.03,
    ),
)
"""The first policy of a new installation. How its weights were found, and what they gained: decision 11."""
