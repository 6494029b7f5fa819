"""Registering the cast: found by its external id, verified by four eyes, given an owner's key when one acts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from shared.local.demo.client import Actor, DemoError, Desk, Exchange, Json
from shared.local.demo.members import Institution
from shared.reference.vocabulary import VerificationQuestion

SCHEME = "DEMO"
KEY_LIFE = timedelta(days=1)
AT_ONCE = 6
ANSWERS = {
    "answers": {
        question.value: {"answer": True, "comment": "Public sources of the story"} for question in VerificationQuestion
    }
}


@dataclass
class Directory:
    """The institutions of all stories of this run, each registered once whoever asks first."""

    exchange: Exchange
    operator: Actor
    verifier: Actor
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Name by id, for those who read a thread."""
    new: set[str] = field(default_factory=set)
    """Ids of those that this run registered: nothing can be theirs yet."""
    _owners: dict[str, Actor] = field(default_factory=dict)
    _issuing: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def register(self, cast: Iterable[Institution]) -> None:
        """All of them, a few at once."""
        desk = Desk(self.exchange, "institutions")
        gate = asyncio.Semaphore(AT_ONCE)
        distinct = {institution.slug: institution for institution in cast}
        await asyncio.gather(*(self._ensure(desk, gate, institution) for institution in distinct.values()))

    async def _ensure(self, desk: Desk, gate: asyncio.Semaphore, institution: Institution) -> None:
        async with gate:
            row = await self._find(institution) or await self._make(desk, institution)
            self.ids[institution.slug] = row["id"]
            self.names[row["id"]] = institution.name
            if row["status"] == "suspended":
                raise DemoError(f"{institution.name} is suspended here; reinstate it, then play the demo again.")
            if row["status"] == "registered":
                await self._verify(desk, row)

    async def _find(self, institution: Institution) -> Json | None:
        wanted = f"{SCHEME}:{institution.slug}"
        page = await self.exchange.get("registry", "/institutions", self.operator, external_id=wanted)
        return next(iter(page["items"]), None)

    async def _make(self, desk: Desk, institution: Institution) -> Json:
        body: Json = {
            "name": institution.name,
            "type": institution.registered_as or institution.type,
            "country": institution.country,
            "languages": institution.languages,
            "external_ids": [{"scheme": SCHEME, "value": institution.slug}],
        }
        # a user's own institution of the same name is another row: the demo never takes over what it did not make
        made = await desk.make(institution.slug, "registry", "/institutions", self.operator, body, force="true")
        self.new.add(made["id"])
        return made

    async def _verify(self, desk: Desk, row: Json) -> None:
        path = f"/institutions/{row['id']}/verifications"
        step = f"{row['id']}/{row['version']}"
        found = await self._submitted(path, row["id"])
        found = found or await desk.make(f"{step}/verify", "registry", path, self.operator, ANSWERS)
        approve = f"/verifications/{found['id']}/approve"
        await desk.change(f"{step}/approve", "registry", approve, self.verifier, found["version"], {})

    async def _submitted(self, path: str, institution_id: str) -> Json | None:
        if institution_id in self.new:
            return None
        there = [found async for found in self.exchange.items("registry", path, self.operator)]
        return next((found for found in there if found["status"] == "submitted"), None)

    async def learn_names(self, ids: Iterable[str]) -> None:
        """Names of institutions that are not of this run's cast, such as those who replicate later."""
        for unknown in set(ids) - self.names.keys():
            row = await self.exchange.get("registry", f"/institutions/{unknown}", self.operator)
            self.names[unknown] = row["name"]

    def id_of(self, institution: Institution) -> str:
        """Its id in the exchange."""
        return self.ids[institution.slug]

    async def owner(self, institution: Institution) -> Actor:
        """Somebody who may act and sign for it; the key is made on first use, so a second run makes none."""
        async with self._issuing[institution.slug]:
            if institution.slug not in self._owners:
                self._owners[institution.slug] = await self._issue(institution)
            return self._owners[institution.slug]

    async def _issue(self, institution: Institution) -> Actor:
        # a secret is shown once, so this run's key has a step of its own
        desk = Desk(self.exchange, f"keys/{uuid4().hex}")
        body: Json = {
            "name": "Demo",
            "institution_id": self.id_of(institution),
            "role": "owner",
            "can_sign": True,
            "expires_on": (datetime.now(UTC).date() + KEY_LIFE).isoformat(),
        }
        key = await desk.make(institution.slug, "registry", "/keys", self.operator, body)
        if key["client_secret"] is None:
            raise DemoError(f"The answer with the key of {institution.name} was lost; play the demo again.")
        return Actor(institution.name, key["client_id"], key["client_secret"], key["institution_id"])
