"""Centres and countries: seed, change of status, confirmation of scheduled ends."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from services.registry.commands.common import caller_of
from services.registry.domain import centres as centre_rules
from services.registry.domain.countries import check_scheduled
from services.registry.schemas.centres import CentreStatusIn
from services.registry.schemas.countries import ConfirmIn
from services.registry.states import centre_state
from services.registry.store import places as store
from services.registry.store.common import load, touch
from services.registry.tables import CentreRow, ConfirmationRow
from shared.events.registry import CentreStatusChanged, CountryState, CountryStatusChanged, ScheduledEnd
from shared.messaging.transaction import Tx
from shared.reference import countries
from shared.reference.centres import CentreSeed, centres
from shared.reference.countries import Confirmations
from shared.web.versions import Precondition


async def seed_centres(tx: Tx) -> int:
    """Adds the known centres that are not there yet, and tells of each once, so that every reader has the full set."""
    known = await store.known_centres(tx)
    new = [_seeded(tx, seed) for seed in centres() if seed.id not in known]
    tx.session.add_all(new)
    for row in new:
        tx.publish(CentreStatusChanged(centre=centre_state(row), by=tx.by))
    return len(new)


def _seeded(tx: Tx, seed: CentreSeed) -> CentreRow:
    steps = [
        {"status": str(s.status), "since": s.since, "source": s.source, "note": s.note or None} for s in seed.history
    ]
    return CentreRow(
        id=seed.id,
        name=seed.name,
        kind=str(seed.kind),
        host_country=seed.host_country,
        host_institution=seed.host_institution or None,
        focus_isic=list(seed.focus_isic),
        status=str(seed.current.status),
        history=steps,
        created_at=tx.now,
        updated_at=tx.now,
    )


async def change_centre_status(tx: Tx, centre_id: UUID, body: CentreStatusIn, if_match: Precondition) -> CentreRow:
    """The next dated step of a centre's life."""
    row = await store.centre(tx, centre_id, lock=True)
    if_match.check(row.version)
    centre_rules.check_step(row.status, body.status)
    centre_rules.check_since(body.since, row.history[-1]["since"], tx.clock.today())
    row.status = str(body.status)
    row.history = [*row.history, {**body.model_dump(), "status": row.status}]
    touch(tx, row)
    tx.publish(CentreStatusChanged(centre=centre_state(row), by=tx.by))
    return row


async def confirm_status(tx: Tx, code: str, body: ConfirmIn, if_match: Precondition) -> int:
    """An operator's word on a scheduled end: the day it takes effect, or that it is off. Returns the new version."""
    row = await store.lock_country(tx, code)
    if_match.check(row.version)
    check_scheduled(code, body.group)
    word = await load(tx, ConfirmationRow, (code, str(body.group)), lock=True)
    if word is None:
        word = ConfirmationRow(country=code, group=str(body.group))
        tx.session.add(word)
    word.leaves_on, word.source = body.leaves_on, body.source
    word.confirmed_by, word.confirmed_at = caller_of(tx).sub, tx.now
    # the event below tells the state of today already, so only a day to come needs telling once more
    word.announced = body.leaves_on is None or body.leaves_on <= tx.clock.today()
    touch(tx, row)
    await tx.session.flush()
    _tell(tx, code, row.version, await store.confirmations(tx))
    return row.version


async def announce_confirmed(tx: Tx) -> int:
    """Tells of countries for which the day of a confirmed end has come."""
    today = tx.clock.today()
    codes = await store.due_confirmations(tx, today)
    confirmed = await store.confirmations(tx)
    for code in codes:
        row = await store.lock_country(tx, code)
        await store.mark_announced(tx, code, today)
        touch(tx, row)
        _tell(tx, code, row.version, confirmed)
    return len(codes)


def _tell(tx: Tx, code: str, version: int, confirmed: Confirmations) -> None:
    state = country_state(code, version, tx.clock.today(), confirmed)
    tx.publish(CountryStatusChanged(country=state, by=tx.by))


def country_state(code: str, version: int, today: date, confirmed: Confirmations) -> CountryState:
    """A country as it stands on the day."""
    return CountryState(
        code=code,
        version=version,
        name=countries.country(code).name,
        as_of=today,
        groups=sorted(countries.groups(code, today, confirmed)),
        south=countries.is_south(code, today),
        income_group=countries.income_group(code, today),
        scheduled=[
            ScheduledEnd(group=s.group, leaves_on=s.leaves_on, source=s.source, confirmed=s.confirmed)
            for s in countries.scheduled(code, today, confirmed)
        ],
    )
