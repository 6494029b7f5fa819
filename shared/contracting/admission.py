"""Whether callers of one OpenAPI document are still let in by another: credentials, roles and visibility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.contracting.structure import Change, escaped
from shared.messaging.envelope import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
_OPENNESS = [Visibility.PRIVATE, Visibility.PARTIES, Visibility.PUBLIC]
_SAYS_WHO = ("type", "scheme", "in", "name", "openIdConnectUrl")


def operation(old: Json, new: Json, where: str) -> Iterator[Change]:
    """Who may no longer call an operation, or only with more than before."""
    before, after = (side.get("security") or [{}] for side in (old, new))
    refused = [one for one in before if not any(_enough(one, wanted) for wanted in after)]
    if {} in refused:
        yield Change("newly_required", f"{where}/security", "a token must be sent now")
    elif refused:
        yield Change("narrowed", f"{where}/security", f"no longer enough: {', '.join(map(_spoken, refused))}")
    yield from _roles(set(old.get("x-roles", ())), set(new.get("x-roles", ())), f"{where}/x-roles")


def schemes(old: Json, new: Json) -> Iterator[Change]:
    """Kinds of credentials that are gone or work otherwise."""
    before, after = (side.get("components", {}).get("securitySchemes", {}) for side in (old, new))
    for name, scheme in before.items():
        where = f"/components/securitySchemes/{escaped(name)}"
        if name not in after:
            yield Change("removed", where, "this way to sign in is gone")
        else:
            yield from _scheme(scheme, after[name], where)


def visibility(old: str, new: str, where: str) -> Iterator[Change]:
    """Fewer may see it than relied on it, or more than its parties were told."""
    if old != new:
        less = _OPENNESS.index(Visibility(new)) < _OPENNESS.index(Visibility(old))
        yield Change("narrowed" if less else "widened", where, f"{old} became {new}")


def _roles(before: set[str], after: set[str], where: str) -> Iterator[Change]:
    if after and (not before or before - after):
        lost = ", ".join(sorted(before - after)) or "roles that are not named"
        yield Change("narrowed", where, f"no longer for {lost}")


def _enough(given: Json, wanted: Json) -> bool:
    """Whether who has these credentials has all that are wanted, with their scopes."""
    return all(name in given and set(scopes) <= set(given[name]) for name, scopes in wanted.items())


def _spoken(credentials: Json) -> str:
    return " with ".join(" ".join([name, *scopes]) for name, scopes in credentials.items())


def _scheme(old: Json, new: Json, where: str) -> Iterator[Change]:
    for word in _SAYS_WHO:
        if old.get(word) != new.get(word):
            yield Change("retyped", f"{where}/{word}", f"{old.get(word)} became {new.get(word)}")
    for name, flow in old.get("flows", {}).items():
        now, place = new.get("flows", {}).get(name), f"{where}/flows/{name}"
        if now is None:
            yield Change("removed", place, "this flow is gone")
            continue
        for word in sorted(key for key in flow if key.endswith("Url") and flow[key] != now.get(key)):
            yield Change("moved", f"{place}/{word}", f"from {flow[word]} to {now.get(word)}")
        for scope in flow.get("scopes", {}).keys() - now.get("scopes", {}).keys():
            yield Change("removed", f"{place}/scopes/{escaped(scope)}", "the scope is gone")
