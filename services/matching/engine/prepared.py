"""Both sides of a pair, made ready once: the need with its query, the offer with its terms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.matching.engine import criteria
from services.matching.engine.lexicon import MARK, Lexicon
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts
from services.matching.engine.policy import Policy
from services.matching.engine.text import Document, TermStatistics, tokens
from services.matching.engine.world import World
from shared.reference.vocabulary import ResourceKind

MOST_COUNTED = 255
"""A term counts at most this often in one capability."""
TITLE_COUNTS = 3
"""What the title says counts as if it were said so often: it names the subject, other texts what lies around it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same for all pairs of a ranking."""

    policy: Policy
    statistics: TermStatistics
    world: World


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of the need with its document frequency in the snapshot and its boost."""

    term: str
    surface: str
    df: int
    boost: float


@dataclass(frozen=True, slots=True)
class Content:
    """What a capability says: its terms, the ISIC codes that it states, and others that its words imply."""

    document: Document
    isic: tuple[str, ...]
    implied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A capability with its provider and its prepared content."""

    capability: CapabilityFacts
    provider: InstitutionFacts
    content: Content


@dataclass(frozen=True, slots=True)
class PreparedNeed:
    """A need on a day, with all that does not depend on the capability."""

    need: NeedFacts
    on: date
    query: tuple[QueryTerm, ...]
    implied: tuple[str, ...]
    groups: tuple[str, ...]
    income: int | None
    blocs: frozenset[str]
    weights: dict[str, float]


def content_of(capability: CapabilityFacts, lexicon: Lexicon) -> Content:
    """Terms of title, summary and technologies; ISIC codes as stated and as implied."""
    document = _said([capability.title, capability.summary, *capability.technologies], lexicon)
    return Content(document, capability.isic, _implied(capability.isic, document, lexicon))


def _said(texts: Sequence[str], lexicon: Lexicon) -> Document:
    """Terms of texts, the first of which is the title."""
    said, title = lexicon.document(texts), lexicon.document(texts[:1]).frequencies
    counts = {term: count + (TITLE_COUNTS - 1) * title.get(term, 0) for term, count in said.frequencies.items()}
    # a byte holds the count in the index; what is said more often than that says nothing more
    return replace(said, frequencies={term: min(count, MOST_COUNTED) for term, count in counts.items()})


def _implied(stated: tuple[str, ...], document: Document, lexicon: Lexicon) -> tuple[str, ...]:
    return tuple(code for code in lexicon.implied_isic(document) if code not in stated)


def prepare(need: NeedFacts, on: date, frame: Frame, lexicon: Lexicon) -> PreparedNeed:
    """Make a need ready to be scored against any number of capabilities."""
    document = _said([need.title, need.problem, *need.technologies], lexicon)
    world, regional = frame.world, frame.policy.regional_cooperation
    prepared = PreparedNeed(
        need=need,
        on=on,
        query=_query(need, document, frame, lexicon),
        implied=_implied(need.isic, document, lexicon),
        groups=tuple(sorted(world.groups(need.country, on))),
        income=world.income(need.country, on),
        blocs=world.blocs(need.country, on) if regional else frozenset(),
        weights={},
    )
    return replace(prepared, weights=frame.policy.spread(_applicable(prepared, world)))


def _applicable(prepared: PreparedNeed, world: World) -> frozenset[str]:
    need = prepared.need
    applies = {
        "sector": bool(need.isic or prepared.implied),
        "text": bool(prepared.query),
        "resources": bool(need.resource_kinds),
        "sdg": bool(need.sdg_targets),
        "goods": bool(need.hs),
        "language": bool(need.languages),
        "region": bool(prepared.blocs),
        "context": bool(prepared.groups) or prepared.income is not None,
        "track_record": True,
        "evidence": True,
        "responsiveness": True,
        "trade": ResourceKind.TRADE in need.resource_kinds and world.trades(need.country, prepared.on),
    }
    return frozenset(name for name, does in applies.items() if does)


def _query(need: NeedFacts, document: Document, frame: Frame, lexicon: Lexicon) -> tuple[QueryTerm, ...]:
    """Choose the need's most telling terms, bounded because a match stores them."""
    policy, statistics = frame.policy, frame.statistics
    focus = lexicon.document([need.title, *need.technologies]).frequencies
    texts = (need.title, need.problem, *need.technologies)
    surfaces = {token.key: token.surface for text in texts for token in tokens(text)}

    def weighed(term: str) -> QueryTerm:
        concept = policy.concept_boost if term.startswith(MARK) else 1.0
        boost = concept * (policy.focus_boost if term in focus else 1.0)
        return QueryTerm(term, surfaces.get(term, term), statistics.document_frequency.get(term, 0), boost)

    terms = [weighed(term) for term in document.frequencies]
    terms.sort(key=lambda t: (-t.boost * criteria.idf(statistics.documents, t.df), t.term))
    return tuple(terms[: policy.need_terms])
