"""Contract, section 4: what institutions offer."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Member, World, capability_body, days_of, moment, today, words
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clri(world: World) -> Member:
    return await world.member(languages=["fr", "en"])


async def test_a_capability_is_published_at_once(clri: Member) -> None:
    body = capability_body(
        hs=["4107"],
        sdg_targets=["9.2", "9.4"],
        technologies=["effluent treatment", "chrome recovery"],
        delivery_modes=["on_site", "remote", "study_visit"],
        renew_by=today(300),
        centre_id=None,
        evidence=[{"title": "Annual report", "url": "https://clri.example/report.pdf"}],
    )
    answer = await clri.post("/capabilities", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body if name != "publish"} == {n: v for n, v in body.items() if n != "publish"}
    assert "publish" not in made
    assert (made["version"], made["status"], made["engaged"]) == (1, "published", 0)
    assert (
        made["institution"].items()
        >= {"id": clri.id, "name": clri.institution["name"], "country": clri.country}.items()
    )
    assert made["actions"] == ["withdraw", "renew"]
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/capabilities/{made['id']}")
    moment(made["published_at"])
    assert await clri.read(f"/capabilities/{made['id']}") == made


async def test_defaults(clri: Member) -> None:
    body = capability_body()
    del body["languages"]
    made = await clri.make("/capabilities", body)
    assert made["languages"] == ["fr", "en"]
    assert 364 <= (days_of(made["renew_by"]) - days_of(today())).days <= 366


@pytest.mark.parametrize("member", ["title", "summary", "resource_kinds", "isic", "serves", "capacity"])
async def test_what_is_required(clri: Member, member: str) -> None:
    body = capability_body()
    del body[member]
    refused(await clri.post("/capabilities", body), 422, "validation_failed", f"/{member}")


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/capacity", {"capacity": 0}),
        ("/capacity", {"capacity": 1001}),
        ("/capacity", {"capacity": "2"}),
        ("/resource_kinds", {"resource_kinds": []}),
        ("/isic", {"isic": []}),
        ("/delivery_modes/0", {"delivery_modes": ["telepathy"]}),
        ("/serves/countries/0", {"serves": {"all_south": False, "countries": ["XXX"], "blocs": []}}),
        ("/serves/blocs/0", {"serves": {"all_south": False, "countries": [], "blocs": ["the gang"]}}),
        ("/evidence/0/url", {"evidence": [{"title": "x", "url": "nonsense"}]}),
    ],
)
async def test_faulty_members(clri: Member, pointer: str, wrong: dict[str, Any]) -> None:
    refused(await clri.post("/capabilities", capability_body(**wrong)), 422, "validation_failed", pointer)


async def test_a_draft_is_private_until_published(clri: Member, world: World, system: System) -> None:
    draft = await clri.capability(publish=False)
    path, stranger = f"/capabilities/{draft['id']}", await world.registered()
    assert (draft["status"], draft["published_at"]) == ("draft", None)
    assert "publish" in draft["actions"]
    refused(await stranger.get(path), 404, "not_found")
    refused(await stranger.act(f"{path}/publish"), 404, "not_found")
    assert draft["id"] not in [c["id"] for c in await stranger.items("/capabilities", limit=200)]
    assert (await system.operator.read(path))["id"] == draft["id"]
    published = await clri.do(f"{path}/publish", if_match='"1"')
    assert (published["status"], published["version"]) == ("published", 2)
    assert (await stranger.read(path))["status"] == "published"
    assert draft["id"] in [c["id"] for c in await stranger.items("/capabilities", limit=200)]
    refused(await clri.act(f"{path}/publish"), 409, "invalid_transition")


async def test_a_withdrawn_capability_stays_visible(clri: Member, world: World) -> None:
    made = await clri.capability()
    path = f"/capabilities/{made['id']}"
    refused(await clri.act(f"{path}/withdraw", {}), 422, "validation_failed", "/reason_code")
    refused(await clri.act(f"{path}/withdraw", {"reason_code": "other"}), 422, "validation_failed", "/text")
    refused(await clri.act(f"{path}/withdraw", {"reason_code": "weather"}), 422, "validation_failed", "/reason_code")
    await clri.do(f"{path}/withdraw", {"reason_code": "no_longer_offered"})
    shown = await (await world.registered()).read(path)
    assert (shown["status"], shown["actions"]) == ("withdrawn", [])
    for action, body in (
        ("withdraw", {"reason_code": "duplicate"}),
        ("renew", {"renew_by": today(99)}),
        ("publish", {}),
    ):
        refused(await clri.act(f"{path}/{action}", body), 409, "invalid_transition")


async def test_a_capability_is_renewed(clri: Member) -> None:
    path = f"/capabilities/{(await clri.capability())['id']}"
    refused(await clri.act(f"{path}/renew", {}), 422, "validation_failed", "/renew_by")
    renewed = await clri.do(f"{path}/renew", {"renew_by": today(500)})
    assert (renewed["renew_by"], renewed["status"], renewed["version"]) == (today(500), "published", 2)


async def test_a_capability_is_patched(clri: Member) -> None:
    path = f"/capabilities/{(await clri.capability())['id']}"
    changed = await clri.change(path, capacity=7, hs=["4107"])
    assert (changed["capacity"], changed["hs"], changed["version"]) == (7, ["4107"], 2)
    refused(await clri.patch(path, {"status": "withdrawn"}), 422, "validation_failed", "/status")
    refused(await clri.patch(path, {"title": None}), 422, "validation_failed", "/title")


async def test_editors_offer_too_and_strangers_do_not_touch(clri: Member, world: World) -> None:
    editor, stranger = await clri.colleague("editor"), await world.registered()
    path = f"/capabilities/{(await editor.make('/capabilities', capability_body()))['id']}"
    refused(await stranger.patch(path, {"capacity": 1}), 403, "forbidden")
    refused(await stranger.act(f"{path}/withdraw", {"reason_code": "duplicate"}), 403, "forbidden")


async def test_the_unverified_may_publish(world: World) -> None:
    assert (await (await world.registered()).capability())["status"] == "published"


async def test_every_event_of_a_capability_is_told_in_order(clri: Member, system: System) -> None:
    draft = await clri.capability(publish=False)
    path = f"/capabilities/{draft['id']}"
    await clri.do(f"{path}/publish")
    await clri.change(path, title=words(3))
    await clri.do(f"{path}/renew", {"renew_by": today(500)})
    await clri.do(f"{path}/withdraw", {"reason_code": "other", "text": "Mrs Secret is away"})

    async def told() -> bool:
        found = [r for r in await system.records("registry.capabilities") if r.key == draft["id"]]
        wanted = ["CapabilityPublished", "CapabilityUpdated", "CapabilityUpdated", "CapabilityWithdrawn"]
        assert [record.type for record in found] == wanted
        assert [record.data["capability"]["version"] for record in found] == [2, 3, 4, 5]
        assert all(b"Mrs Secret" not in record.value for record in found)
        return True

    await eventually(told)
