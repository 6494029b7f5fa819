"""Tokens and keys: registry issues them, verifies them with its own keys, and forgets secrets."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlmodel import col

from services.registry import signing
from services.registry.app import build
from services.registry.platform_keys import ensure_platform_key
from services.registry.settings import Settings
from services.registry.signing import SigningKeys, retire, rotate
from services.registry.tables import KeyRow, SigningKeyRow
from shared import run
from shared.data import migrate
from shared.service import Running
from tests.support.parts import Parts
from tests.support.stack import free_port

pytestmark = pytest.mark.asyncio
GRANT = {"grant_type": "client_credentials"}


@dataclass
class Issuing:
    """A registry that trusts its own keys, as `bandung up` runs it."""

    running: Running
    client: httpx.AsyncClient

    async def platform(self, role: str) -> dict[str, str]:
        """Form fields of a platform key."""
        key = await ensure_platform_key(self.running, role)
        return {"client_id": key.client_id, "client_secret": str(key.client_secret)}

    async def token(self, key: dict[str, Any]) -> dict[str, str]:
        """The Authorization header that a key gets."""
        form = {**GRANT, "client_id": key["client_id"], "client_secret": key["client_secret"]}
        answer = await self.client.post("/token", data=form)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def institution(self, operator: dict[str, str]) -> str:
        """The id of a new institution."""
        body = {"name": secrets.token_hex(12), "type": "firm", "country": "ETH"}
        answer = await self.client.post("/institutions", json=body, headers=operator)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def registry(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Issuing]:
    async with AsyncExitStack() as stack:
        port, url = free_port(), await parts.new_database("registry")
        settings = Settings(
            embedded=True,
            home=Path(tmp_path_factory.mktemp("registry")),
            port=port,
            issuer=f"http://127.0.0.1:{port}",
            database_url=SecretStr(url),
            kafka_bootstrap=parts.bootstrap,
            topic_prefix=f"t{secrets.token_hex(4)}.",
        )
        service = build(settings)
        await migrate.upgrade(url, service.migrations)
        loops = await run.start(service)
        stack.push_async_callback(run.stop, [loops])
        client = httpx.AsyncClient(base_url=settings.base_url, timeout=30, trust_env=False)
        yield Issuing(loops.running, await stack.enter_async_context(client))


def is_oauth_error(answer: httpx.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_verifies_with_the_published_keys_and_carries_the_claims(registry: Issuing) -> None:
    key = await ensure_platform_key(registry.running, "operator")
    bearer = (await registry.token({"client_id": key.client_id, "client_secret": key.client_secret}))["Authorization"]
    document = (await registry.client.get("/.well-known/jwks.json")).json()
    assert all("d" not in published for published in document["keys"])
    token = jwt.decode(bearer.removeprefix("Bearer "), KeySet.import_key_set(document), algorithms=["EdDSA"])
    assert token.header["typ"] == "at+jwt"
    claims = token.claims
    assert claims["iss"] == registry.running.settings.issuer
    assert (claims["aud"], claims["institution_id"], claims["roles"]) == ("bandung", None, ["operator"])
    assert claims["exp"] - claims["iat"] == 900
    assert claims["can_sign"] is False


async def test_basic_authentication_works_and_is_answered_in_kind(registry: Issuing) -> None:
    key = await registry.platform("operator")
    good = await registry.client.post("/token", data=GRANT, auth=(key["client_id"], key["client_secret"]))
    assert good.status_code == 200
    bad = await registry.client.post("/token", data=GRANT, auth=(key["client_id"], "bds_wrong"))
    is_oauth_error(bad, 401, "invalid_client")
    assert bad.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "invalid_request"),
        (b"grant_type=password", 400, "unsupported_grant_type"),
        (b"grant_type=client_credentials", 400, "invalid_request"),
        (b"grant_type=client_credentials&client_id=bdk_x", 400, "invalid_request"),
        (b"grant_type=client_credentials&client_id=bdk_x&client_secret=y", 401, "invalid_client"),
        (b"grant_type=client_credentials&client_id=%00&client_secret=y", 401, "invalid_client"),
        (b"grant_type=client_credentials&client_id=%ff%fe&client_secret=%ed%a0%80", 401, "invalid_client"),
        (b"grant_type=client_credentials&client_id=a&client_id=b&client_secret=y", 400, "invalid_request"),
        (b"\xff\xfe\x00", 400, "invalid_request"),
        (b'{"grant_type": "client_credentials"}', 400, "invalid_request"),
        (b"&".join(b"a=1" for _ in range(100)), 400, "invalid_request"),
        (b"x" * 300_000, 400, "invalid_request"),
    ],
)
async def test_no_body_is_bad_enough_for_anything_but_rfc_6749(
    registry: Issuing, body: bytes, status: int, error: str
) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    is_oauth_error(await registry.client.post("/token", content=body, headers=headers), status, error)


@pytest.mark.parametrize("value", ["!!", base64.b64encode(b"\xff\xff").decode(), base64.b64encode(b"nocolon").decode()])
async def test_a_broken_basic_header_is_an_invalid_request(registry: Issuing, value: str) -> None:
    answer = await registry.client.post("/token", data=GRANT, headers={"Authorization": f"Basic {value}"})
    is_oauth_error(answer, 400, "invalid_request")


async def test_an_owner_issues_a_key_uses_it_and_revokes_it(registry: Issuing) -> None:
    operator = await registry.token(await registry.platform("operator"))
    institution = await registry.institution(operator)
    body = {"name": "Back office", "institution_id": institution, "role": "owner"}
    first = (await registry.client.post("/keys", json=body, headers=operator)).json()
    assert first["can_sign"] is True
    owner = await registry.token(first)
    made = await registry.client.post("/keys", json={"name": "ERP", "role": "reader"}, headers=owner)
    assert (made.status_code, made.headers["location"]) == (201, f"/keys/{made.json()['id']}")
    assert (made.json()["institution_id"], made.json()["actions"]) == (institution, ["revoke"])
    await registry.token(made.json())
    revoke = f"/keys/{made.json()['id']}/revoke"
    answer = await registry.client.post(revoke, headers={**owner, "If-Match": '"1"'})
    assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (200, "revoked", '"2"')
    form = {**GRANT, **{name: made.json()[name] for name in ("client_id", "client_secret")}}
    is_oauth_error(await registry.client.post("/token", data=form), 401, "invalid_client")
    again = await registry.client.post(revoke, headers={**owner, "If-Match": "*"})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")


async def test_a_replayed_creation_has_no_secret(registry: Issuing) -> None:
    operator = await registry.token(await registry.platform("operator"))
    body = {"name": "k", "institution_id": await registry.institution(operator), "role": "owner"}
    headers = {**operator, "Idempotency-Key": secrets.token_hex(8)}
    first, second = [await registry.client.post("/keys", json=body, headers=headers) for _ in range(2)]
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json()["client_secret"].startswith("bds_")
    assert second.json() == {**first.json(), "client_secret": None}


async def test_keys_are_seen_by_their_institution_and_the_operator_only(registry: Issuing) -> None:
    operator = await registry.token(await registry.platform("operator"))
    mine, other = [await registry.institution(operator) for _ in range(2)]
    keys = [
        (
            await registry.client.post("/keys", json={"name": "k", "institution_id": i, "role": r}, headers=operator)
        ).json()
        for i, r in ((mine, "owner"), (other, "owner"), (mine, "editor"))
    ]
    owner, editor = await registry.token(keys[0]), await registry.token(keys[2])
    listed = (await registry.client.get("/keys", headers=owner)).json()["items"]
    assert {key["id"] for key in listed} == {keys[0]["id"], keys[2]["id"]}
    assert all(key["client_secret"] is None for key in listed)
    assert (await registry.client.get(f"/keys/{keys[1]['id']}", headers=owner)).status_code == 404
    assert (await registry.client.get(f"/keys/{keys[1]['id']}", headers=operator)).status_code == 200
    assert (await registry.client.get("/keys", headers=editor)).status_code == 403
    foreign = {"name": "x", "institution_id": other, "role": "reader"}
    answer = await registry.client.post("/keys", json=foreign, headers=owner)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_institution")


async def test_a_key_that_may_not_sign_cannot_make_one_that_may(registry: Issuing) -> None:
    operator = await registry.token(await registry.platform("operator"))
    body = {"name": "k", "institution_id": await registry.institution(operator), "role": "owner", "can_sign": False}
    clerk = await registry.token((await registry.client.post("/keys", json=body, headers=operator)).json())
    answer = await registry.client.post("/keys", json={"name": "x", "role": "owner", "can_sign": True}, headers=clerk)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    quiet = await registry.client.post("/keys", json={"name": "x", "role": "owner"}, headers=clerk)
    assert quiet.json()["can_sign"] is False


async def test_an_expired_key_gets_no_token(registry: Issuing) -> None:
    key = await registry.platform("operator")
    await registry.token(key)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    async with registry.running.transactions.background() as tx:
        chosen = col(KeyRow.client_id) == key["client_id"]
        await tx.session.execute(update(KeyRow).where(chosen).values(expires_on=yesterday))
    is_oauth_error(await registry.client.post("/token", data={**GRANT, **key}), 401, "invalid_client")


async def test_no_secret_is_stored(registry: Issuing) -> None:
    key = await registry.platform("operator")
    async with registry.running.transactions.background() as tx:
        rows = await tx.session.execute(text("select api_key::text from api_key"))
        assert not any(key["client_secret"] in row[0] for row in rows)


async def test_a_platform_key_is_made_once_and_follows_its_secret(registry: Issuing) -> None:
    client_id, secret = f"bdk_{secrets.token_hex(4)}", "bds_first"
    made = await ensure_platform_key(registry.running, "verifier", client_id=client_id, client_secret=secret)
    again = await ensure_platform_key(registry.running, "verifier", client_id=client_id, client_secret=secret)
    assert made == again
    await registry.token({"client_id": client_id, "client_secret": secret})
    await ensure_platform_key(registry.running, "verifier", client_id=client_id, client_secret="bds_second")
    await registry.token({"client_id": client_id, "client_secret": "bds_second"})
    found = await ensure_platform_key(registry.running, "verifier", client_id=client_id)
    assert found.client_secret is None
    with pytest.raises(ValueError, match="platform key"):
        await ensure_platform_key(registry.running, "owner")


async def test_the_signing_key_rotates_without_a_pause(registry: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = await registry.token(await registry.platform("operator"))
    async with registry.running.transactions.background() as tx:
        kid = await rotate(tx)
    fresh = SigningKeys(registry.running.database.background_session)
    assert (await fresh.newest()).kid == kid
    assert len((await fresh.public())["keys"]) == 2
    monkeypatch.setattr(signing, "RELOAD_SECONDS", 0.0)
    renewed = await registry.token(await registry.platform("operator"))
    assert (
        jwt.decode(renewed["Authorization"][7:], KeySet([await fresh.newest()]), algorithms=["EdDSA"]).header["kid"]
        == kid
    )
    for bearer in (operator, renewed):
        assert (await registry.client.get("/needs", headers=bearer)).status_code == 200
    async with registry.running.transactions.background() as tx:
        assert await retire(tx) == 0
        long_ago = datetime.now(UTC) - timedelta(days=2)
        await tx.session.execute(update(SigningKeyRow).values(created_at=SigningKeyRow.created_at - timedelta(days=2)))
        tx.session.expire_all()
        assert await retire(tx) == 1
        served = await tx.session.scalars(select(SigningKeyRow).where(col(SigningKeyRow.retired_at).is_(None)))
        rows = list(served)
        assert [row.kid for row in rows] == [kid]
        assert rows[0].created_at < long_ago + timedelta(hours=1)


async def test_the_metadata_name_the_addresses(registry: Issuing) -> None:
    found = (await registry.client.get("/.well-known/oauth-authorization-server")).json()
    issuer = registry.running.settings.issuer
    assert (found["issuer"], found["token_endpoint"]) == (issuer, f"{issuer}/token")
    assert found["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
