"""The ledger of a project: what was agreed is committed, what was spent or given is delivered and confirmed."""

from __future__ import annotations

from shared.local.demo.client import Json
from shared.local.demo.members import InKind, Share
from shared.local.demo.opening import Scene
from shared.local.demo.working import Work


async def fill_ledger(work: Work) -> None:
    """Money and contributions in kind, each as far as the facts say."""
    there = {found["description"]: found for found in await work.below("contributions")}
    scene, plan = work.scene, work.plan
    gifts = [(share.giver or "", _cash(scene, share), share.status == "spent") for share in plan.ledger]
    gifts += [
        (i.party, _in_kind(scene, i), i.stage == "confirmed") for i in scene.story.in_kind if i.project == plan.id
    ]
    for position, (giver, body, is_given) in enumerate(gifts):
        await _contribute(work, f"gift/{position}", giver, body, there.get(body["description"]), is_given=is_given)


def _cash(scene: Scene, share: Share) -> Json:
    return {
        "receiver_id": scene.id_of(share.receiver or ""),
        "resource_kind": "financial",
        "kind": "cash",
        "value": {"amount": f"{share.amount:.2f}", "currency": share.currency},
        "description": share.description,
    }


def _in_kind(scene: Scene, gift: InKind) -> Json:
    return {
        "receiver_id": scene.id_of(gift.receiver),
        "resource_kind": gift.resource_kind,
        "kind": "in_kind",
        "unit": gift.unit_code,
        "quantity": str(gift.quantity),
        "description": f"{gift.what} ({gift.unit})",
    }


async def _contribute(work: Work, step: str, giver: str, body: Json, found: Json | None, *, is_given: bool) -> None:
    """From pledge to commitment, and to a confirmed delivery if it was given."""
    if found is None:
        found = await work.add("contributions", step, await work.scene.owner(giver), body)
    path = f"/contributions/{found['id']}"
    if found["status"] == "pledged":
        found = await work.change(f"{step}/commit", f"{path}/commit", await work.scene.owner(giver), found, {})
    if found["status"] == "committed" and is_given:
        day = {"delivered_on": (work.plan.completed_on or work.scene.today).isoformat()}
        found = await work.change(f"{step}/deliver", f"{path}/deliver", await work.scene.owner(giver), found, day)
    if found["status"] == "delivered":
        receiver = await work.scene.owner_by_id(found["receiver_id"])
        await work.change(f"{step}/confirm", f"{path}/confirm", receiver, found, {})
