"""Contract, section 2: API keys and the tokens they are exchanged for."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.e2e.world import World, capability_body, is_id, need_body, today
from tests.support.system import SERVICES, System, refused, succeeded

pytestmark = pytest.mark.asyncio


async def ask(system: System, **form: str) -> httpx.Response:
    return await system.client("registry").post("/token", data=form)


def is_oauth_error(answer: httpx.Response, status: int, error: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert answer.json()["error"] == error


async def test_a_key_is_exchanged_for_a_token(system: System) -> None:
    key = system.local["keys"][0]
    form = {"grant_type": "client_credentials", "client_id": key["client_id"], "client_secret": key["client_secret"]}
    answer = await ask(system, **form)
    given = succeeded(answer, 200)
    assert answer.headers["cache-control"] == "no-store"
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 900)
    assert given["access_token"].count(".") == 2


async def test_http_basic_is_accepted_too(system: System) -> None:
    key = system.local["keys"][0]
    answer = await system.client("registry").post(
        "/token", data={"grant_type": "client_credentials"}, auth=(key["client_id"], key["client_secret"])
    )
    assert succeeded(answer, 200)["expires_in"] == 900


async def test_refusals_follow_rfc_6749(system: System) -> None:
    key = system.local["keys"][0]
    known, secret = {"client_id": key["client_id"]}, {"client_secret": key["client_secret"]}
    grant = {"grant_type": "client_credentials"}
    is_oauth_error(await ask(system, **grant, **known, client_secret="bds_wrong"), 401, "invalid_client")
    is_oauth_error(await ask(system, **grant, client_id="bdk_nobody", **secret), 401, "invalid_client")
    is_oauth_error(await ask(system, grant_type="password", **known, **secret), 400, "unsupported_grant_type")
    is_oauth_error(await ask(system, **known, **secret), 400, "invalid_request")
    is_oauth_error(await ask(system, **grant), 400, "invalid_request")


async def published_keys(system: System) -> KeySet:
    document = succeeded(await system.client("registry").get("/.well-known/jwks.json"), 200)
    return KeySet.import_key_set(document)  # type: ignore[arg-type]


async def test_a_token_can_be_checked_with_the_published_keys(system: System, world: World) -> None:
    member = await world.registered()
    token = jwt.decode(await bearer(member), await published_keys(system), algorithms=["EdDSA"])
    assert (token.header["alg"], token.header["typ"]) == ("EdDSA", "at+jwt")
    assert token.header["kid"]
    claims = token.claims
    assert (claims["iss"], claims["aud"]) == (system.local["endpoints"]["registry"], "bandung")
    assert claims["sub"].startswith("key:")
    assert (claims["institution_id"], claims["roles"]) == (member.id, ["owner"])
    assert claims["exp"] - claims["iat"] == 900
    assert abs(claims["iat"] - time.time()) < 120
    assert is_id(claims["jti"])


async def bearer(member: Any) -> str:
    return str((await member.headers())["Authorization"].removeprefix("Bearer "))


async def test_a_platform_token_speaks_for_no_institution(system: System) -> None:
    payload = (await bearer(system.operator)).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["institution_id"], claims["roles"]) == (None, ["operator"])


async def test_the_published_keys_hold_no_secret(system: System) -> None:
    document = succeeded(await system.client("registry").get("/.well-known/jwks.json"), 200)
    assert document["keys"]
    assert all("d" not in key and key["kty"] == "OKP" for key in document["keys"])


async def test_the_metadata_name_the_addresses(system: System) -> None:
    found = succeeded(await system.client("registry").get("/.well-known/oauth-authorization-server"), 200)
    base = system.local["endpoints"]["registry"]
    assert (found["issuer"], found["token_endpoint"]) == (base, f"{base}/token")
    assert found["jwks_uri"] == f"{base}/.well-known/jwks.json"
    assert "client_credentials" in found["grant_types_supported"]


@pytest.mark.parametrize("service", SERVICES)
async def test_all_four_services_take_the_token(world: World, system: System, service: str) -> None:
    path = {"registry": "/needs", "matching": "/matches", "projects": "/projects", "notifications": "/inbox"}[service]
    assert "items" in await system.operator.read(path)
    assert "items" in await (await world.registered()).read(path)


async def test_an_operator_issues_a_key(system: System, world: World) -> None:
    lidi = await world.registered()
    body = {
        "name": "back office",
        "institution_id": lidi.id,
        "role": "editor",
        "can_sign": False,
        "expires_on": today(9),
    }
    answer = await system.operator.post("/keys", body)
    made = succeeded(answer, 201)
    assert answer.headers["location"] == f"/keys/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert {name: made[name] for name in body} == body
    assert (made["version"], made["status"]) == (1, "active")
    assert made["client_id"].startswith("bdk_")
    assert made["client_secret"].startswith("bds_")


async def test_a_secret_is_shown_once(world: World) -> None:
    lidi = await world.registered()
    made = await lidi.make("/keys", {"name": "more", "role": "reader"})
    assert made["client_secret"]
    shown = await lidi.read(f"/keys/{made['id']}")
    assert shown.get("client_secret") is None
    assert made["client_secret"] not in (await lidi.get("/keys")).text


async def test_an_owner_issues_keys_for_its_own_institution_only(world: World) -> None:
    lidi, other = await world.registered(), await world.registered()
    made = await lidi.make("/keys", {"name": "mine", "institution_id": lidi.id, "role": "owner"})
    assert (made["institution_id"], made["can_sign"]) == (lidi.id, True)
    refused(
        await lidi.post("/keys", {"name": "x", "institution_id": other.id, "role": "owner"}), 403, "wrong_institution"
    )


@pytest.mark.parametrize("role", ["editor", "reader"])
async def test_editors_and_readers_issue_none(world: World, role: str) -> None:
    lidi = await world.registered()
    colleague = await lidi.colleague(role)
    refused(await colleague.post("/keys", {"name": "x", "institution_id": lidi.id, "role": role}), 403, "forbidden")


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [("/role", {"role": "operator"}), ("/name", {"name": ""}), ("/expires_on", {"expires_on": "x"})],
)
async def test_faulty_keys_are_refused(system: System, world: World, pointer: str, wrong: dict[str, Any]) -> None:
    lidi = await world.registered()
    body = {"name": "x", "institution_id": lidi.id, "role": "owner"} | wrong
    refused(await system.operator.post("/keys", body), 422, "validation_failed", pointer)


async def test_a_revoked_key_gets_no_token(system: System, world: World) -> None:
    lidi = await world.registered()
    made = await lidi.make("/keys", {"name": "old", "role": "editor"})
    refused(await lidi.act(f"/keys/{made['id']}/revoke", if_match=None), 428, "precondition_required")
    revoked = await lidi.do(f"/keys/{made['id']}/revoke", if_match='"1"')
    assert (revoked["status"], revoked["version"]) == ("revoked", 2)
    form = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
    is_oauth_error(await ask(system, grant_type="client_credentials", **form), 401, "invalid_client")
    refused(await lidi.act(f"/keys/{made['id']}/revoke"), 409, "invalid_transition")


async def test_keys_are_seen_by_their_institution_and_the_operator(system: System, world: World) -> None:
    lidi, other = await world.registered(), await world.registered()
    made = await lidi.make("/keys", {"name": "mine", "role": "reader"})
    path = f"/keys/{made['id']}"
    assert (await system.operator.read(path))["client_id"] == made["client_id"]
    refused(await other.get(path), 404, "not_found")
    refused(await other.act(f"{path}/revoke"), 404, "not_found")
    assert made["id"] not in [key["id"] for key in await other.items("/keys", limit=200)]


async def test_a_reader_changes_nothing(world: World) -> None:
    lidi = await world.registered()
    reader = await lidi.colleague("reader")
    refused(await reader.post("/needs", need_body()), 403, "forbidden")
    refused(await reader.post("/capabilities", capability_body()), 403, "forbidden")
    refused(await reader.patch(lidi.path, {"acronym": "X"}), 403, "forbidden")


async def test_without_can_sign_an_owner_may_not_formalise(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    clerk = await pair.provider.colleague("owner", can_sign=False)
    refused(await clerk.act(f"{pair.path}/formalise"), 403, "forbidden")
    assert "formalise" not in (await clerk.read(pair.path))["actions"]
    assert "formalise" in (await pair.provider.read(pair.path))["actions"]


async def test_without_can_sign_an_owner_may_not_sign_or_confirm(world: World) -> None:
    project = await world.direct()
    clerk = await project.beneficiary.colleague("owner", can_sign=False)
    agreement = await project.proposed()
    refused(await clerk.act(f"/agreements/{agreement['id']}/sign", {"signed_on": today()}), 403, "forbidden")
    await project.started()
    pledge = await project.committed()
    await project.provider.do(f"/contributions/{pledge['id']}/deliver", {"delivered_on": today()})
    refused(await clerk.act(f"/contributions/{pledge['id']}/confirm", {}), 403, "forbidden")
