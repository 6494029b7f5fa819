"""Keep a copy of Bandung up to date by its feed, where no webhook can get in. Standard library only.

    REGISTRY=https://... MATCHING=... PROJECTS=... NOTIFICATIONS=... CLIENT_ID=bdk_... CLIENT_SECRET=bds_... \
        python follow_feed.py [--once]

The cursor is stored in one transaction with what came before it: a crash at any moment loses and repeats nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta
from typing import Any

CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
REGISTRY, MATCHING, PROJECTS, NOTIFICATIONS = (
    os.environ[name] for name in ("REGISTRY", "MATCHING", "PROJECTS", "NOTIFICATIONS")
)
RESOURCES = {
    REGISTRY: ("institutions", "capabilities", "needs"),
    MATCHING: ("matches",),
    PROJECTS: ("projects", "practices"),
}
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "5"))
database = sqlite3.connect(os.environ.get("DATABASE", "feed.sqlite"), isolation_level=None)
database.executescript("""
    pragma journal_mode = wal;
    create table if not exists copy (subject text primary key, version integer, document text);
    create table if not exists mark (name text primary key, value text);
""")
token: dict[str, Any] = {"value": "", "until": 0.0}


def access_token() -> str:
    """A token of 15 minutes, asked for again a minute before it ends."""
    if time.monotonic() > token["until"]:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{REGISTRY}/token", data, timeout=30) as answer:
            given = json.load(answer)
        token.update(value=given["access_token"], until=time.monotonic() + given["expires_in"] - 60)
    return str(token["value"])


def get(url: str, **query: str | None) -> dict[str, Any]:
    """The answer to a GET; parameters without a value are left out. Raises HTTPError."""
    given = urllib.parse.urlencode({name: value for name, value in query.items() if value})
    request = urllib.request.Request(f"{url}?{given}", headers={"Authorization": f"Bearer {access_token()}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def mark(name: str, value: str | None = None) -> str | None:
    """Remembers a value, or gives the one that is remembered."""
    if value is not None:
        database.execute("insert or replace into mark values (?, ?)", (name, value))
    found = database.execute("select value from mark where name = ?", (name,)).fetchone()
    return str(found[0]) if found else None


def keep(subject: str, document: dict[str, Any]) -> None:
    """Into the copy, unless it holds a newer version: events and resources may tell the same twice."""
    database.execute(
        "insert into copy values (?, ?, ?) on conflict do update set version = excluded.version,"
        " document = excluded.document where excluded.version > version",
        (subject, document["version"], json.dumps(document)),
    )


def handle(event: dict[str, Any]) -> None:
    """Your own work; runs in one transaction with the cursor."""
    for state in event["data"].values():
        if "id" in state and event["subject"].endswith(state["id"]):
            keep(event["subject"], state)
    mark("last_time", max(event["time"], mark("last_time") or ""))


def read_page() -> int:
    """Handles the events behind the stored cursor and stores the next one; how many there were."""
    page = get(f"{NOTIFICATIONS}/events", cursor=mark("cursor"), limit="200")
    database.execute("begin")
    for event in page["items"]:
        handle(event)
    mark("cursor", page["next"])  # is always there: the place to ask from next time
    database.execute("commit")
    for event in page["items"]:
        name = event["type"].split(".")[-2]
        print(json.dumps({"handled": name, "id": event["id"], "subject": event["subject"]}), flush=True)
    return len(page["items"])


def resync() -> None:
    """At the first start, and after too long a pause (410): what changed meanwhile, then the feed from its oldest."""
    last, count = mark("last_time"), 0
    # a day before: what was committed last need not have happened last
    since = (datetime.fromisoformat(last) - timedelta(days=1)).isoformat().replace("+00:00", "Z") if last else None
    for service, names in RESOURCES.items():
        for name in names:
            cursor: str | None = ""
            while cursor is not None:
                page = get(f"{service}/{name}", updated_since=since, cursor=cursor, limit="200")
                for document in page["items"]:
                    keep(f"{name}/{document['id']}", document)
                count, cursor = count + len(page["items"]), page["next"]
    database.execute("delete from mark where name = 'cursor'")  # last, so that a crash before it resyncs again
    print(json.dumps({"resynced": count, "since": since}), flush=True)


def main() -> None:
    """Until the feed is read to its end (`--once`, for cron), or for ever."""
    if mark("cursor") is None:
        resync()
    while True:
        try:
            waiting = read_page()
        except urllib.error.HTTPError as error:
            if error.code == 410:
                resync()
                continue
            if error.code not in (429, 503):
                raise
            time.sleep(float(error.headers.get("Retry-After") or PAUSE_SECONDS))
            continue
        if not waiting and "--once" in sys.argv:
            return
        time.sleep(0 if waiting else PAUSE_SECONDS)


if __name__ == "__main__":
    main()
