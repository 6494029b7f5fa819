"""The steps that every command takes in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from shared.lifecycle import Lifecycle, Step
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.problems import from_validation
from shared.web.versions import Precondition

F = TypeVar("F")
M = TypeVar("M", bound=BaseModel)


class Versioned(Protocol):
    """A row with a lifecycle."""

    version: int
    status: str


def admit(
    lifecycle: Lifecycle[F],
    action: str,
    row: Versioned,
    facts: F,
    hats: frozenset[str],
    caller: Caller,
    if_match: Precondition,
) -> Step[F]:
    """May they (403), do they know what they change (428, 412), is it possible now (409): the step to take."""
    lifecycle.permit(action, hats, can_sign=caller.can_sign)
    if_match.check(row.version)
    return lifecycle.check(action, row.status, facts, hats, can_sign=caller.can_sign)


def caller_of(tx: Tx) -> Caller:
    """The caller of a request's transaction."""
    if tx.caller is None:
        msg = "this command needs a caller"
        raise RuntimeError(msg)
    return tx.caller


def merged(kind: type[M], present: Mapping[str, Any], patch: Mapping[str, Any]) -> M:
    """The resource after a JSON merge patch (RFC 7396), checked as a whole; raises `validation_failed`."""
    document = _merge(kind, dict(present), patch)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        errors = [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        raise from_validation(errors) from error


def _merge(kind: type[BaseModel] | None, target: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A name that the model does not have stays in, also with null, so that the check refuses it."""
    for name, value in patch.items():
        if value is None and (kind is None or name in kind.model_fields):
            target.pop(name, None)
        elif isinstance(value, dict):
            inner = target.get(name)
            target[name] = _merge(_model_of(kind, name), dict(inner) if isinstance(inner, dict) else {}, value)
        else:
            target[name] = value
    return target


def _model_of(kind: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """The model of a member that is an object; None for any other."""
    field = kind.model_fields.get(name) if kind else None
    types = (field.annotation, *get_args(field.annotation)) if field else ()
    return next((one for one in types if isinstance(one, type) and issubclass(one, BaseModel)), None)


def apply(row: object, values: Mapping[str, Any]) -> bool:
    """Sets what differs; tells whether anything did."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)
