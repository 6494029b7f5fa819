"""Deliberate breaks of the real released contracts, one of each kind, are refused by name and place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.contracting import files, release
from shared.contracting.structure import flat, follow

if TYPE_CHECKING:
    from shared.service import Service

Json = dict[str, Any]
Edit = Callable[[Json], Any]


def operation(api: Json, path: str, method: str) -> Json:
    found: Json = api["paths"][path][method]
    return found


def post_needs(api: Json) -> Json:
    return operation(api, "/needs", "post")


def model(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


@pytest.fixture(scope="module")
def present(services: list[Service]) -> Json:
    return release.present(services, files.documents(services))


def test_what_is_here_breaks_nothing_that_was_released(present: Json) -> None:
    old = release.released()
    assert old is not None
    assert release.breaks(old, present) == []


def breaks(present: Json, edit: Edit) -> list[tuple[str, str, str]]:
    new = copy.deepcopy(present)
    edit(new)
    return [(b.document, b.change.kind, b.change.where) for b in release.breaks(present, new)]


def _in_registry(edit: Edit) -> Edit:
    return lambda whole: edit(whole["apis"]["registry"])


def _drop(place: Edit, *names: str) -> Edit:
    def edit(document: Json) -> None:
        for name in names:
            del place(document)[name]

    return edit


def _put(place: Edit, **members: Any) -> Edit:
    return lambda document: place(document).update(members)


def _codes(document: Json, name: str) -> list[str]:
    found: list[str] = follow(document, f"#/components/responses/{name}")["content"]["application/problem+json"][
        "schema"
    ]["allOf"][1]["properties"]["code"]["enum"]
    return found


def _without_code(api: Json) -> None:
    name = post_needs(api)["responses"]["422"]["$ref"].rpartition("/")[2]
    _codes(api, name).remove("idempotency_key_reused")


def _without_wrong_institution(api: Json) -> None:
    reference = post_needs(api)["responses"]["403"]["$ref"].rpartition("/")[2]
    copied = copy.deepcopy(api["components"]["responses"][reference])
    api["components"]["responses"]["403.forbidden"] = copied
    _codes(api, "403.forbidden").remove("wrong_institution")
    post_needs(api)["responses"]["403"]["$ref"] = "#/components/responses/403.forbidden"


def _another_parameter(api: Json) -> None:
    given = operation(api, "/needs", "get")["parameters"]
    given.append({"name": "day", "in": "query", "required": True, "schema": {"type": "string"}})


def _without_parameter(api: Json) -> None:
    whole = operation(api, "/needs", "get")
    whole["parameters"] = [p for p in whole["parameters"] if p.get("name") != "country"]


def _lower_limit(api: Json) -> None:
    limit = next(p for p in operation(api, "/needs", "get")["parameters"] if p.get("name") == "limit")
    limit["schema"] |= {"maximum": 100, "default": 20}


REGISTRY, NOTIFICATIONS = "openapi/registry.json", "openapi/notifications.json"
NEEDS, NEED_OUT, NEED_IN = "/paths/~1needs", "/components/schemas/NeedOut", "/components/schemas/NeedIn"

API_BREAKS: list[tuple[str, Edit, list[tuple[str, str]]]] = [
    ("operation", _drop(lambda a: a["paths"]["/needs"], "post"), [("operation_removed", f"{NEEDS}/post")]),
    ("operation id", _put(post_needs, operationId="make"), [("renamed", f"{NEEDS}/post/operationId")]),
    ("parameter gone", _without_parameter, [("parameter_removed", f"{NEEDS}/get/parameters")]),
    ("parameter required", _another_parameter, [("newly_required", f"{NEEDS}/get/parameters/day")]),
    ("role", _put(post_needs, **{"x-roles": ["owner", "operator"]}), [("narrowed", f"{NEEDS}/post/x-roles")]),
    (
        "token needed",
        _put(lambda a: operation(a, "/token", "post"), security=[{"bearer": []}]),
        [("newly_required", "/paths/~1token/post/security")],
    ),
    ("code", _without_wrong_institution, [("error_code_removed", f"{NEEDS}/post/responses/403")]),
    (
        "status",
        _drop(lambda a: post_needs(a)["responses"], "409"),
        [("error_code_removed", f"{NEEDS}/post/responses/409")],
    ),
    ("success", _drop(lambda a: post_needs(a)["responses"], "201"), [("removed", f"{NEEDS}/post/responses/201")]),
    (
        "header",
        _drop(lambda a: post_needs(a)["responses"]["201"]["headers"], "Location"),
        [("removed", f"{NEEDS}/post/responses/201/headers/Location")],
    ),
    (
        "media type",
        _drop(lambda a: operation(a, "/needs/{need_id}", "patch")["requestBody"]["content"], "application/json"),
        [("removed", "/paths/~1needs~1{need_id}/patch/requestBody/content/application~1json")],
    ),
    (
        "answer's member",
        _drop(lambda a: model(a, "NeedOut")["properties"], "urgency"),
        [("removed", f"{NEED_OUT}/properties/urgency")],
    ),
    (
        "answer's promise",
        lambda a: model(a, "NeedOut")["required"].remove("urgency"),
        [("not_guaranteed", f"{NEED_OUT}/properties/urgency")],
    ),
    (
        "request's member",
        _drop(lambda a: model(a, "NeedIn")["properties"], "urgency"),
        [("removed", f"{NEED_IN}/properties/urgency")],
    ),
    (
        "request's requirement",
        lambda a: model(a, "NeedIn")["required"].append("country"),
        [("newly_required", f"{NEED_IN}/properties/country")],
    ),
    (
        "request's default",
        _put(lambda a: model(a, "NeedIn")["properties"]["partners_wanted"], default=2),
        [("default_changed", f"{NEED_IN}/properties/partners_wanted")],
    ),
    (
        "request's value",
        lambda a: model(a, "Urgency")["enum"].pop(),
        [("narrowed", "/components/schemas/Urgency")],
    ),
    (
        "answer's value",
        lambda a: model(a, "CountryOut")["properties"].update(code={"type": "integer"}),
        [("retyped", "/components/schemas/CountryOut/properties/code")],
    ),
]


@pytest.mark.parametrize(("edit", "wanted"), [its[1:] for its in API_BREAKS], ids=[its[0] for its in API_BREAKS])
def test_a_break_of_an_api_is_named(present: Json, edit: Edit, wanted: list[tuple[str, str]]) -> None:
    found = breaks(present, _in_registry(edit))
    assert {document for document, _, _ in found} == {REGISTRY}
    assert set(wanted) <= {(kind, where) for _, kind, where in found}
    assert len(found) == len(wanted), found


def test_a_code_that_many_operations_share_is_missed_at_each(present: Json) -> None:
    found = breaks(present, _in_registry(_without_code))
    assert (REGISTRY, "error_code_removed", f"{NEEDS}/post/responses/422") in found
    assert {kind for _, kind, _ in found} == {"error_code_removed"}


def test_a_changed_limit_tells_of_its_bound_and_of_its_default(present: Json) -> None:
    kinds = [kind for _, kind, _ in breaks(present, _in_registry(_lower_limit))]
    assert kinds == ["default_changed", "narrowed"]


def test_what_is_added_breaks_nobody(present: Json) -> None:
    def edit(whole: Json) -> None:
        api = whole["apis"]["registry"]
        api["paths"]["/needs/{need_id}/copy"] = {"post": copy.deepcopy(post_needs(api))}
        operation(api, "/needs", "get")["parameters"].append(
            {"name": "day", "in": "query", "schema": {"type": "string"}}
        )
        model(api, "NeedOut")["properties"]["colour"] = {"type": "string"}
        model(api, "NeedOut")["required"].append("colour")
        model(api, "NeedIn")["properties"]["colour"] = {"type": "string", "default": "red"}
        post_needs(api)["x-roles"].append("reader")
        post_needs(api)["responses"]["402"] = {"$ref": "#/components/responses/403.forbidden"}
        whole["events"]["NeedPosted.v2"] = whole["events"]["NeedPosted.v1"]
        model(whole, "NeedState")["properties"]["colour"] = {"type": "string", "default": "red"}
        whole["samples"]["NeedPosted.v1/003.json"] = "00"

    assert breaks(present, edit) == []


def test_a_webhook_that_is_no_longer_sent_is_named(present: Json) -> None:
    found = breaks(present, _drop(lambda w: w["apis"]["notifications"]["webhooks"], "NeedPosted"))
    assert found == [(NOTIFICATIONS, "operation_removed", "/webhooks/NeedPosted/post")]


def test_data_of_a_webhook_are_answers(present: Json) -> None:
    found = breaks(present, _drop(lambda w: model(w["apis"]["notifications"], "NeedState")["properties"], "urgency"))
    assert found == [(NOTIFICATIONS, "removed", "/components/schemas/NeedState/properties/urgency")]


EVENT_BREAKS: list[tuple[Edit, tuple[str, str, str]]] = [
    (_drop(lambda w: w["events"], "NeedExpired.v1"), ("schemas/NeedExpired.v1.json", "removed", "")),
    (
        _put(lambda w: w["events"]["NeedExpired.v1"], topic="registry.other"),
        ("schemas/NeedExpired.v1.json", "moved", "/topic"),
    ),
    (
        _put(lambda w: w["events"]["NeedExpired.v1"], visibility="parties"),
        ("schemas/NeedExpired.v1.json", "narrowed", "/visibility"),
    ),
    (
        lambda w: model(w, "NeedState")["required"].append("reason"),
        ("schemas/NeedPosted.v1.json", "newly_required", "/components/schemas/NeedState/properties/reason"),
    ),
    (
        _put(lambda w: model(w, "NeedState")["properties"], version={"type": "string"}),
        ("schemas/NeedPosted.v1.json", "retyped", "/components/schemas/NeedState/properties/version"),
    ),
    (
        _put(lambda w: w["samples"], **{"NeedPosted.v1/001.json": "00"}),
        ("samples/NeedPosted.v1/001.json", "retyped", ""),
    ),
    (
        _drop(lambda w: w["samples"], "NeedPosted.v1/001.json"),
        ("samples/NeedPosted.v1/001.json", "removed", ""),
    ),
]


@pytest.mark.parametrize(("edit", "wanted"), EVENT_BREAKS)
def test_a_break_of_an_event_is_named(present: Json, edit: Edit, wanted: tuple[str, str, str]) -> None:
    assert breaks(present, edit) == [wanted]


def test_a_release_is_read_back_as_it_was_made(present: Json, tmp_path: Path) -> None:
    file = tmp_path / "released.json"
    assert release.released(file) is None
    release.release(present, file)
    assert release.released(file) == present


def test_parts_of_a_schema_are_merged() -> None:
    document = {
        "a": {"properties": {"x": {}}, "required": ["x"]},
        "b": {"allOf": [{"$ref": "#/a"}, {"properties": {"y": {}}}]},
    }
    assert flat(document, {"$ref": "#/b"}) == {"properties": {"x": {}, "y": {}}, "required": ["x"]}
