"""What events tell of a row: its full public state, never a contact, never a free text about people."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.registry.domain.institutions import south_on
from services.registry.tables import (
    CapabilityRow,
    CentreRow,
    InstitutionRow,
    NeedRow,
    TradeProfileRow,
    VerificationRow,
)
from shared.events.registry import (
    CapabilityState,
    CentreState,
    InstitutionState,
    NeedState,
    TradeProfileState,
    VerificationState,
)
from shared.events.states import Owner, Reason
from shared.reference.countries import country, is_south


def institution_state(row: InstitutionRow, today: date) -> InstitutionState:
    """An institution, of the South or not by the list of the day."""
    south = south_on(row.country, today, is_south)
    return InstitutionState.model_validate({**row.model_dump(), "south": south, "reason": _reason(row)})


def capability_state(row: CapabilityRow, institution: InstitutionRow) -> CapabilityState:
    """A published capability."""
    return CapabilityState.model_validate(
        {**row.model_dump(), "institution": _owner(institution), "reason": _reason(row)}
    )


def need_state(row: NeedRow, institution: InstitutionRow) -> NeedState:
    """A posted need."""
    return NeedState.model_validate({**row.model_dump(), "institution": _owner(institution), "reason": _reason(row)})


def verification_state(row: VerificationRow) -> VerificationState:
    """A questionnaire: yes or no, without comments."""
    answers = {question: bool(answer["answer"]) for question, answer in row.answers.items()}
    return VerificationState.model_validate({**row.model_dump(), "answers": answers})


def centre_state(row: CentreRow) -> CentreState:
    """A centre with its history."""
    return CentreState.model_validate({**row.model_dump(), **latest(row)})


def trade_profile_state(row: TradeProfileRow) -> TradeProfileState:
    """What a country trades."""
    return TradeProfileState.model_validate({**row.model_dump(), "name": country(row.country).name})


def latest(row: CentreRow) -> dict[str, Any]:
    """The present step of a centre as members of the centre itself."""
    return {name: row.history[-1].get(name) for name in ("status", "since", "source", "note")}


def _owner(institution: InstitutionRow) -> Owner:
    return Owner(id=institution.id, name=institution.name, country=institution.country, type=institution.type)


def _reason(row: InstitutionRow | CapabilityRow | NeedRow) -> Reason | None:
    return None if row.reason_code is None else Reason(code=row.reason_code)
