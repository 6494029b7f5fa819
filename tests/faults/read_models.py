"""What every service holds of the others' events, without times of arrival and numbers of its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.installation import Installation

READ_MODELS = {
    "matching": {
        "institution": "id, version, status, name, country, type, languages",
        "capability": "id, version, status, institution_id, title, summary, isic, serves::text, capacity, renew_by",
        "need": "id, version, status, institution_id, title, problem, isic, urgency, deadline",
        "trade_profile": "country, exports::text, imports::text",
        "project": "id, status, ended_on, pivotal_ids, countries",
        "practice": "id, partner_ids",
        "replication": "id, partner_ids",
    },
    "registry": {
        "engagement": "match_id, need_id, capability_id, project_id, state, reopens",
        "match_view": "match_id, status, parties",
    },
    "projects": {"institution": "id, name, country, south, status"},
    "notifications": {
        "institution": "id, name, country, languages",
        "event": "source, event_id, type, subject, time, sequence, correlation, md5(data) data, parties",
        "inbox_entry": "source, event_id, recipient, name, subject, template, action_required, due_at",
    },
}

Rows = set[str]


async def read_models(system: Installation) -> dict[str, Rows]:
    """`service.table` -> its rows as text."""
    return {
        f"{service}.{table}": {str(tuple(row)) for row in await system.rows(service, f"select {columns} from {table}")}  # noqa: S608 (names above)
        for service, tables in READ_MODELS.items()
        for table, columns in tables.items()
    }


def differences(before: dict[str, Rows], after: dict[str, Rows]) -> list[str]:
    """Rows that only one side has, a few of each table."""
    told = []
    for name, rows in before.items():
        told += [f"{name} lacks {row}" for row in sorted(rows - after[name])[:3]]
        told += [f"{name} has besides {row}" for row in sorted(after[name] - rows)[:3]]
    return told
