"""Contributions and their deliveries."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.projects.schemas.common import ReasonOut, Threaded
from shared.api import Body
from shared.reference.types import Amount, Day, Money, MoneyOrZero, OptionalText, Quantity, Text
from shared.reference.vocabulary import ContributionKind, DisputeReason, ResourceKind, Unit, ValuationMethod


class ContributionIn(Body):
    """A pledge: cash has a value only; in kind has a unit and a quantity, and a method with its value."""

    receiver_id: UUID
    resource_kind: ResourceKind
    kind: ContributionKind
    unit: Unit | None = None
    quantity: Quantity | None = None
    value: Money | None = None
    valuation_method: ValuationMethod | None = None
    description: Text
    due_on: Day | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        cash = self.kind is ContributionKind.CASH
        must = ("value",) if cash else ("unit", "quantity", *(("valuation_method",) if self.value else ()))
        must_not = ("unit", "quantity", "valuation_method") if cash else () if self.value else ("valuation_method",)
        errors = [_error(name, "missing", "Required here") for name in must if getattr(self, name) is None]
        errors += [_error(name, "not_allowed", "Not used here") for name in must_not if getattr(self, name) is not None]
        if errors:
            raise ValidationError.from_exception_data("ContributionIn", errors)
        return self


def _error(name: str, code: str, message: str) -> InitErrorDetails:
    # a model's own check would point at the body, the client wants the member
    return InitErrorDetails(type=PydanticCustomError(code, message), loc=(name,), input=None)


class DeliverIn(Body):
    """A part, as `quantity` in kind or `amount` in cash; neither means all that remains. The day defaults to today."""

    delivered_on: Day | None = None
    quantity: Quantity | None = None
    amount: Amount | None = None


class ConfirmIn(Body):
    """One delivery, or all that wait."""

    delivery_id: UUID | None = None


class DisputeIn(Body):
    """Which delivery and why; `text` is required with `other`."""

    delivery_id: UUID
    reason_code: DisputeReason
    text: OptionalText | None = None


class DeliveryOut(BaseModel):
    """A part that was delivered."""

    id: UUID
    quantity: Quantity | None
    amount: str | None
    delivered_on: date
    status: str
    reason: ReasonOut | None


class ContributionOut(Threaded):
    """A contribution."""

    collection: ClassVar[str] = "contributions"
    id: UUID
    version: int
    status: str
    project_id: UUID
    giver_id: UUID
    receiver_id: UUID
    resource_kind: str
    kind: str
    unit: str | None
    quantity: Quantity | None
    value: MoneyOrZero | None
    valuation_method: str | None
    description: str
    due_on: date | None
    deliveries: list[DeliveryOut]
    actions: list[str]
