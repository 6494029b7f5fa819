"""The closed lists of the domain: one place for every word a client may send.

Source of each list: the glossary of the mission and the contract (sections 4 to 11 and 18).
Members compare equal to their text, so a JSON value, a database value and an enum member agree.
"""

from enum import StrEnum


class InstitutionType(StrEnum):
    """Public or private body that takes part in cooperation (glossary)."""

    GOVERNMENT = "government"
    AGENCY = "agency"
    FIRM = "firm"
    UNIVERSITY = "university"
    RESEARCH_INSTITUTE = "research_institute"
    NGO = "ngo"
    MULTILATERAL = "multilateral"
    FOUNDATION = "foundation"
    CHAMBER = "chamber"
    FINANCIAL_INSTITUTION = "financial_institution"
    OTHER = "other"


COUNTRYLESS_TYPES = frozenset({InstitutionType.MULTILATERAL, InstitutionType.FINANCIAL_INSTITUTION})
"""The only institution types that may have no country (contract, section 3)."""


class ResourceKind(StrEnum):
    """What a need seeks and a capability offers (glossary)."""

    TECHNICAL = "technical"
    TECHNOLOGY = "technology"
    TRAINING = "training"
    EQUIPMENT = "equipment"
    MANAGERIAL = "managerial"
    FINANCIAL = "financial"
    KNOWLEDGE = "knowledge"
    TRADE = "trade"


class DeliveryMode(StrEnum):
    """How a capability reaches its user. The contract names the first three, the rest are ours."""

    ON_SITE = "on_site"
    REMOTE = "remote"
    STUDY_VISIT = "study_visit"
    EXPERT_MISSION = "expert_mission"
    TRAINING_AT_PROVIDER = "training_at_provider"
    EQUIPMENT_SUPPLY = "equipment_supply"
    LICENSING = "licensing"
    JOINT_VENTURE = "joint_venture"


class Urgency(StrEnum):
    """How pressing a need is, least first (contract, section 5)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Role(StrEnum):
    """What a partner does in a project (glossary); all three together are triangular cooperation."""

    BENEFICIARY = "beneficiary"
    PIVOTAL = "pivotal"
    FACILITATING = "facilitating"


class Modality(StrEnum):
    """`triangular` as soon as all three roles are held on the day (contract, section 8)."""

    SOUTH_SOUTH = "south_south"
    TRIANGULAR = "triangular"


class AgreementKind(StrEnum):
    """Instrument that the partners of a project sign (contract, section 8)."""

    MEMORANDUM_OF_UNDERSTANDING = "memorandum_of_understanding"
    CONTRACT = "contract"
    EXCHANGE_OF_LETTERS = "exchange_of_letters"


class ContributionKind(StrEnum):
    """Cash has only a value; in kind has a unit and a quantity (contract, section 9)."""

    CASH = "cash"
    IN_KIND = "in_kind"


class Unit(StrEnum):
    """What an in-kind quantity counts (contract, section 9)."""

    EXPERT_DAY = "expert_day"
    TRAINING_PLACE = "training_place"
    EQUIPMENT_UNIT = "equipment_unit"
    OTHER = "other"


class ValuationMethod(StrEnum):
    """How an in-kind contribution was given a value (contract, section 18)."""

    DAILY_RATE = "daily_rate"
    MARKET_PRICE = "market_price"
    BOOK_VALUE = "book_value"
    OTHER = "other"


class ReplicationOutcome(StrEnum):
    """How the reuse of a practice went (contract, section 11)."""

    IN_PROGRESS = "in_progress"
    SUCCESSFUL = "successful"
    PARTLY_SUCCESSFUL = "partly_successful"
    UNSUCCESSFUL = "unsuccessful"


class ReportKind(StrEnum):
    """`completion` is the one that all partners sign (contract, section 18)."""

    PROGRESS = "progress"
    COMPLETION = "completion"


class CentreKind(StrEnum):
    """Contract, section 17, names the first two; the others are those of `data/centres.csv`."""

    SOUTH_SOUTH_INDUSTRIAL_COOPERATION = "south_south_industrial_cooperation"
    CENTRE_OF_EXCELLENCE = "centre_of_excellence"
    TECHNOLOGY_BANK = "technology_bank"
    REGIONAL_CENTRE = "regional_centre"
    VOCATIONAL_TRAINING_CENTRE = "vocational_training_centre"


class CentreStatus(StrEnum):
    """Life of a centre, in order; `suspended` is entered from `operating` only (glossary)."""

    ENVISIONED = "envisioned"
    UNDER_NEGOTIATION = "under_negotiation"
    TO_BE_ESTABLISHED = "to_be_established"
    OPERATING = "operating"
    SUSPENDED = "suspended"
    HANDED_OVER = "handed_over"
    CLOSED = "closed"


class VerificationQuestion(StrEnum):
    """The five due-diligence questions; `true` is always the good answer (contract, section 3)."""

    REGISTRATION_EVIDENCE = "registration_evidence"
    MANDATE_CONSISTENT = "mandate_consistent"
    SAFEGUARDS_IN_PLACE = "safeguards_in_place"
    NO_REPUTATIONAL_RISK = "no_reputational_risk"
    NO_UNACCEPTABLE_FLAG = "no_unacceptable_flag"


class MatchDeclineReason(StrEnum):
    """Why a side declines a match, or a facilitator an invitation (contract, section 7)."""

    NOT_RELEVANT = "not_relevant"
    CAPACITY_UNAVAILABLE = "capacity_unavailable"
    BUDGET_INSUFFICIENT = "budget_insufficient"
    TIMING = "timing"
    LANGUAGE = "language"
    GEOGRAPHY = "geography"
    PRIOR_COMMITMENT = "prior_commitment"
    CONFLICT_OF_INTEREST = "conflict_of_interest"
    DUE_DILIGENCE = "due_diligence"
    CHOSEN_OTHER = "chosen_other"
    OTHER = "other"


class MatchWithdrawReason(StrEnum):
    """Why the system took a match back; never sent by a client (contract, section 7)."""

    NEED_WITHDRAWN = "need_withdrawn"
    NEED_EXPIRED = "need_expired"
    NEED_ENGAGED = "need_engaged"
    CAPABILITY_WITHDRAWN = "capability_withdrawn"
    CAPABILITY_EXPIRED = "capability_expired"
    INSTITUTION_SUSPENDED = "institution_suspended"
    NO_LONGER_ELIGIBLE = "no_longer_eligible"


class WithdrawReason(StrEnum):
    """Why a need or a capability is withdrawn by its owner (contract, section 18)."""

    NO_LONGER_NEEDED = "no_longer_needed"
    NO_LONGER_OFFERED = "no_longer_offered"
    MET_ELSEWHERE = "met_elsewhere"
    BUDGET_INSUFFICIENT = "budget_insufficient"
    DUPLICATE = "duplicate"
    OTHER = "other"


class SuspendReason(StrEnum):
    """Institution suspend; project cancel, suspend and leave (contract, section 18)."""

    RED_FLAG = "red_flag"
    PARTNER_WITHDREW = "partner_withdrew"
    FUNDING_LOST = "funding_lost"
    FORCE_MAJEURE = "force_majeure"
    NO_LONGER_NEEDED = "no_longer_needed"
    DUE_DILIGENCE = "due_diligence"
    OBJECTIVE_CHANGED = "objective_changed"
    OTHER = "other"


class SystemReason(StrEnum):
    """Reasons that only the system gives, for projects and needs (contract, section 18)."""

    PARTNER_SUSPENDED = "partner_suspended"
    NO_PIVOTAL_PARTNER = "no_pivotal_partner"
    PROJECT_CANCELLED = "project_cancelled"


class VerificationRejectReason(StrEnum):
    """Why a verification is rejected (contract, section 18)."""

    DUE_DILIGENCE = "due_diligence"
    INCOMPLETE = "incomplete"
    OTHER = "other"


class DisputeReason(StrEnum):
    """Why the receiver disputes a delivery (contract, section 18)."""

    NOT_RECEIVED = "not_received"
    QUANTITY_DIFFERS = "quantity_differs"
    QUALITY = "quality"
    OTHER = "other"


class WaiveReason(StrEnum):
    """Why a milestone is waived (contract, section 18)."""

    NO_LONGER_NEEDED = "no_longer_needed"
    SUPERSEDED = "superseded"
    NOT_FEASIBLE = "not_feasible"
    OTHER = "other"


class JustificationCode(StrEnum):
    """Why a project is opened without a match (contract, section 18)."""

    EXISTING_COOPERATION = "existing_cooperation"
    REPLICATION = "replication"
    EMERGENCY = "emergency"
    GOVERNMENT_REQUEST = "government_request"
    SOLE_SOURCE = "sole_source"
    OTHER = "other"


class DirectMatchCode(StrEnum):
    """Why two sides are brought together by name and not by a ranking: as for a direct project, or a mistake undone."""

    EXISTING_COOPERATION = "existing_cooperation"
    REPLICATION = "replication"
    EMERGENCY = "emergency"
    GOVERNMENT_REQUEST = "government_request"
    SOLE_SOURCE = "sole_source"
    DECLINED_BY_MISTAKE = "declined_by_mistake"
    OTHER = "other"


def needs_text(reason: str) -> bool:
    """Tell whether a reason code must come with a text: `other` everywhere (contract, section 18)."""
    return reason == "other"
