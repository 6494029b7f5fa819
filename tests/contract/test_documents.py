"""The generated documents are those of the code, and official validators accept them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.contracting import files
from shared.contracting.files import FOLDER, Difference
from tests.contract.conftest import NAMES, committed, fits

if TYPE_CHECKING:
    from shared.service import Service

ASYNCAPI = Draft7Validator(json.loads((Path(__file__).parent / "data" / "asyncapi-3.0.0.json").read_text()))
SCHEMAS = sorted(file.name for file in (FOLDER / "schemas").glob("*.json"))


def test_the_committed_documents_are_those_of_the_code(services: list[Service]) -> None:
    assert files.differences(files.texts(files.documents(services))) == []


def test_making_them_twice_gives_the_same_bytes(services: list[Service]) -> None:
    assert files.texts(files.documents(services)) == files.texts(files.documents(services))


def test_missing_stale_and_superfluous_files_are_named_and_mended(tmp_path: Path) -> None:
    wanted = {"schemas/A.v1.json": "a", "openapi/b.json": "b", "asyncapi/c.json": "c"}
    assert len(files.write(wanted, tmp_path)) == 3
    (tmp_path / "schemas/A.v1.json").unlink()
    (tmp_path / "openapi/b.json").write_text("old")
    (tmp_path / "asyncapi/d.json").write_text("d")
    assert files.differences(wanted, tmp_path) == [
        Difference("asyncapi/d.json", "superfluous"),
        Difference("openapi/b.json", "stale"),
        Difference("schemas/A.v1.json", "missing"),
    ]
    files.write(wanted, tmp_path)
    assert files.differences(wanted, tmp_path) == []


@pytest.mark.parametrize("name", [*NAMES, "partners"])
def test_asyncapi_fits_the_official_schema(name: str) -> None:
    document = committed(f"asyncapi/{name}.json")
    assert [f"{e.json_path}: {e.message}" for e in ASYNCAPI.iter_errors(document)] == []
    assert list(_broken_references(document)) == []


@pytest.mark.parametrize("name", NAMES)
def test_openapi_is_valid(name: str) -> None:
    document = committed(f"openapi/{name}.json")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.parametrize("file", SCHEMAS)
def test_every_event_schema_is_a_json_schema(file: str) -> None:
    document = committed(f"schemas/{file}")
    Draft202012Validator.check_schema(document)
    assert document["$id"] == f"urn:bandung:schema:{file.removesuffix('.json')}"
    assert list(_broken_references(document)) == []


def test_partners_read_of_every_event_they_may_see_and_of_no_other() -> None:
    messages = committed("asyncapi/partners.json")["components"]["messages"]
    assert {m["x-visibility"] for m in messages.values()} == {"public", "parties"}
    assert {"NeedPosted", "MatchProposed", "WebhookDisabled"} <= messages.keys()
    assert not {"VerificationSubmitted", "WebhookTest"} & messages.keys()
    seen = {name for service in NAMES for name, m in _sent(service) if m["x-visibility"] != "private"}
    assert messages.keys() == seen


def _sent(service: str) -> list[tuple[str, dict[str, Any]]]:
    document = committed(f"asyncapi/{service}.json")
    sent = [o for name, o in document["operations"].items() if name.startswith("send.")]
    names = [m["$ref"].rpartition("/")[2] for operation in sent for m in operation["messages"]]
    return [(name, document["components"]["messages"][name]) for name in names]


def test_notifications_describe_every_event_they_deliver() -> None:
    hooks = committed("openapi/notifications.json")["webhooks"]
    assert hooks.keys() == committed("asyncapi/partners.json")["components"]["messages"].keys() | {"WebhookTest"}
    posted = hooks["NeedPosted"]["post"]
    assert [p["name"] for p in posted["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert posted["requestBody"]["content"].keys() == {"application/cloudevents+json"}


def _broken_references(document: dict[str, Any]) -> list[str]:
    return [reference for reference in _references(document) if not _leads_somewhere(reference, document)]


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for item in value.values() for found in _references(item)]


def _leads_somewhere(reference: str, document: dict[str, Any]) -> bool:
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        if part not in place:
            return False
        place = place[part]
    return True


def test_the_example_of_every_webhook_and_message_fits_its_schema() -> None:
    whole = committed("openapi/notifications.json")
    for name, hook in whole["webhooks"].items():
        [body] = hook["post"]["requestBody"]["content"].values()
        assert fits(body["example"], body["schema"], whole) == [], name
    partners = committed("asyncapi/partners.json")
    [trait] = partners["components"]["messageTraits"].values()
    for name, message in partners["components"]["messages"].items():
        [example] = message["examples"]
        assert fits(example["payload"], message["payload"], partners) == [], name
        assert fits(example["headers"], trait["headers"], partners) == [], name
