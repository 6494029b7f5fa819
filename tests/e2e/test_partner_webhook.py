"""`deploy/examples/partner/receive_webhook.py` against the running system, killed, lied to and told twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tests.e2e.test_13_webhooks_and_feed import hook
from tests.e2e.world import Member, World
from tests.support.partner import Program
from tests.support.system import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


class Partner:
    """A member whose webhook is answered by the example."""

    def __init__(self, member: Member, made: dict[str, Any], port: int, folder: Path) -> None:
        self.member, self.made, self.port = member, made, port
        self.program = Program("receive_webhook.py", folder, {"WEBHOOK_SECRET": made["secret"], "PORT": str(port)})

    async def handled(self, subject: str, name: str) -> list[dict[str, Any]]:
        """The lines about one thing."""
        return [line for line in await self.program.saying("handled", name) if line["subject"] == subject]

    def state(self, subject: str) -> dict[str, Any]:
        """What the partner's database holds of it; nothing before its tables are made."""
        if "Listening" not in self.program.errors:
            return {}
        connection = sqlite3.connect(self.program.folder / "webhooks.sqlite")
        try:
            row = connection.execute("select data from state where subject = ?", (subject,)).fetchone()
        finally:
            connection.close()
        found: dict[str, Any] = json.loads(row[0]) if row else {}
        return found

    async def send(self, message_id: str, body: str, *, secret: str | None = None, age: int = 0) -> int:
        """A request signed by the official library; the status."""
        at = datetime.now(UTC) - timedelta(seconds=age)
        signature = Webhook(secret or self.made["secret"]).sign(message_id, at, body)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(f"http://127.0.0.1:{self.port}/", content=body, headers=headers)).status_code


@pytest_asyncio.fixture(loop_scope="session")
async def partner(world: World, tmp_path: Path) -> Partner:
    member, [port] = await world.member(), free_ports(1)
    wanted = hook(f"http://127.0.0.1:{port}/", "NeedPosted", "NeedUpdated", institution_ids=[member.id])
    return Partner(member, await member.make("/webhooks", wanted), port, tmp_path / "partner")


def document(need_id: str, version: int, name: str = "NeedUpdated") -> str:
    """An event as it might arrive."""
    event = {"id": f"{name}-{version}", "type": f"org.bandung.{name}.v1", "subject": f"needs/{need_id}"}
    return json.dumps(event | {"data": {"need": {"id": need_id, "version": version}, "by": {"via": "api"}}})


async def test_an_event_is_handled_once_although_it_is_delivered_again(partner: Partner) -> None:
    async with partner.program:
        await _listens(partner)
        need = await partner.member.need()
        [line] = await partner.handled(f"needs/{need['id']}", "NeedPosted")
        known = await eventually(lambda: partner.state(f"needs/{need['id']}"))  # told a moment before it is committed
        assert known["title"] == need["title"]
        path = f"/webhooks/{partner.made['id']}/deliveries"
        [delivery] = [d for d in await partner.member.items(path) if d["event_id"] == line["id"]]
        await partner.member.post(f"/deliveries/{delivery['id']}/replay")

        async def succeeded_twice() -> bool:
            found = [d for d in await partner.member.items(path) if d["event_id"] == line["id"]]
            return [d["status"] for d in found] == ["succeeded"] * 2

        await eventually(succeeded_twice)
        other = await partner.member.need()
        await eventually(lambda: partner.state(f"needs/{other['id']}"))
        assert await partner.handled(f"needs/{need['id']}", "NeedPosted") == [line]


async def test_what_was_posted_while_it_was_dead_arrives_after_its_restart(partner: Partner) -> None:
    async with partner.program:
        first = await partner.member.need()
        await eventually(lambda: partner.state(f"needs/{first['id']}"))
        await partner.program.end(kill=True)
    missed = await partner.member.need()
    path = f"/webhooks/{partner.made['id']}/deliveries"

    async def refused() -> bool:
        return "failed" in [d["status"] for d in await partner.member.items(path)]

    await eventually(refused)
    async with partner.program:
        await eventually(lambda: partner.state(f"needs/{missed['id']}"))
    assert sorted(line["subject"] for line in partner.program.said) == sorted(
        f"needs/{need['id']}" for need in (first, missed)
    )


async def test_what_was_stored_and_not_handled_is_handled_after_a_restart(partner: Partner) -> None:
    async with partner.program:
        await partner.program.end(kill=await _listens(partner))
    with sqlite3.connect(partner.program.folder / "webhooks.sqlite") as connection:
        connection.execute("insert into event (id, body) values ('NeedUpdated-1', ?)", (document("left", 1),))
    connection.close()
    async with partner.program:
        await partner.program.saying("subject", "needs/left")


async def test_forged_old_and_broken_requests_are_refused(partner: Partner) -> None:
    body = document("forged", 1)
    async with partner.program:
        await _listens(partner)
        assert await partner.send("a", body, secret="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD") == 401
        assert await partner.send("b", body, age=600) == 401
        assert await partner.send("c", body, age=-600) == 401
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"http://127.0.0.1:{partner.port}/", content=body)).status_code == 401
        assert await partner.send("d", document("genuine", 1)) == 204
        await partner.program.saying("subject", "needs/genuine")
        assert partner.program.of("subject", "needs/forged") == []


@pytest.mark.parametrize("length", ["-1", "1000001", "many", "\xb2"])
async def test_a_length_that_cannot_be_meant_is_refused_at_once(partner: Partner, length: str) -> None:
    async with partner.program:
        await _listens(partner)
        reader, writer = await asyncio.open_connection("127.0.0.1", partner.port)
        writer.write(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        async with asyncio.timeout(10):
            assert (await reader.readline()).split()[1] == b"413"
        writer.close()
        assert await partner.send("after", document("after", 1)) == 204


async def test_a_state_that_arrives_late_does_not_undo_a_newer_one(partner: Partner) -> None:
    async with partner.program:
        await _listens(partner)
        for version in (2, 3, 1):
            assert await partner.send(f"late-{version}", document("late", version)) == 204
        await partner.program.saying("subject", "needs/late", 3)
        assert partner.state("needs/late")["version"] == 3


async def test_what_cannot_be_handled_is_noted_and_holds_nothing_up(partner: Partner) -> None:
    broken = json.dumps({"type": "org.bandung.NeedUpdated.v1", "subject": "needs/x", "data": {"need": {"id": "x"}}})
    async with partner.program:
        await _listens(partner)
        assert await partner.send("broken", broken) == 204
        [line] = await partner.program.saying("failed", "broken")
        assert line["error"] == "KeyError('version')"
        assert await partner.send("good", document("good", 1)) == 204
        await partner.program.saying("subject", "needs/good")
        await partner.program.end(kill=True)
    async with partner.program:
        await partner.program.saying("failed", "broken", len(partner.program.of("failed", "broken")) + 1)
        assert await partner.send("later", document("later", 1)) == 204
        await partner.program.saying("subject", "needs/later")


async def test_a_member_that_is_no_resource_is_passed_over(partner: Partner) -> None:
    event = json.loads(document("noted", 1))
    event["data"] |= {"note": "valid", "count": 3, "list": ["id"]}
    async with partner.program:
        await _listens(partner)
        assert await partner.send("noted", json.dumps(event)) == 204
        await eventually(lambda: partner.state("needs/noted").get("version") == 1)


async def test_both_secrets_are_good_while_one_is_rotated(partner: Partner) -> None:
    rotated = await partner.member.do(f"/webhooks/{partner.made['id']}/rotate-secret")
    assert rotated["secret"] != partner.made["secret"]
    async with partner.program:  # still knows the old one
        await _listens(partner)
        need = await partner.member.need()
        await partner.handled(f"needs/{need['id']}", "NeedPosted")
    partner.program.env["WEBHOOK_SECRET"] = rotated["secret"]
    async with partner.program:
        await _listens(partner, runs=2)
        need = await partner.member.need()
        await eventually(lambda: partner.state(f"needs/{need['id']}"))


async def _listens(partner: Partner, runs: int = 1) -> bool:
    await eventually(lambda: partner.program.errors.count("Listening") == runs)
    return True
