"""Keep a copy of Bandung up to date by its feed, where no webhook can get in. Standard library only.

    REGISTRY=https://... MATCHING=... PROJECTS=... NOTIFICATIONS=... CLIENT_ID=bdk_... CLIENT_SECRET=bds_... \
        python follow_feed.py [--once]

The cursor is stored in one transaction with what came before it: a crash at any moment loses and repeats nothing.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
REGISTRY, MATCHING, PROJECTS, NOTIFICATIONS = (
    os.environ[name] for name in ("REGISTRY", "MATCHING", "PROJECTS", "NOTIFICATIONS")
)
CHANGED = {  # lists that tell what changed since
    REGISTRY: ("institutions", "capabilities", "needs"),
    MATCHING: ("matches",),
    PROJECTS: ("projects", "practices"),
}
ONCE = "--once" in sys.argv
WHOLE = {"centres": "id", "countries": "code"}  # short lists of registry, and what names a member
PARTS = ("agreements", "contributions", "milestones", "reports")  # of every project
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "5"))
database = sqlite3.connect(os.environ.get("DATABASE", "feed.sqlite"), isolation_level=None)
database.executescript("""
    pragma journal_mode = wal;
    create table if not exists copy (subject text primary key, version integer, document text);
    create table if not exists failure (id text primary key, event text, error text);
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


def ask(url: str) -> dict[str, Any]:
    """The answer to one GET."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {access_token()}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def get(url: str, **query: str | None) -> dict[str, Any]:
    """The answer to a GET; parameters without a value are left out. Waits for a server that is away or busy."""
    address = f"{url}?{urllib.parse.urlencode({name: value for name, value in query.items() if value})}"
    renewed = False
    for tries in itertools.count(1):
        try:
            return ask(address)
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            refused = error if isinstance(error, urllib.error.HTTPError) else None
            if refused and refused.code == 401 and not renewed:
                token["until"], renewed = 0.0, True  # the token was ended before its time
                continue
            # what waiting does not mend; and cron starts the next run anyway
            if (refused and refused.code != 429 and refused.code < 500) or (ONCE and tries == 10):
                raise
            told = (refused.headers.get("Retry-After") if refused else None) or ""
            print(f"Waiting for {url}: {error}", file=sys.stderr, flush=True)
            time.sleep(float(told) if told.isdecimal() else min(60, PAUSE_SECONDS * 2 ** min(tries, 6)))
    raise AssertionError


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
        if isinstance(state, dict) and event["subject"].split("/")[1] in (state.get("id"), state.get("code")):
            keep(event["subject"], state)


def attempt(event: dict[str, Any]) -> dict[str, str]:
    """Handles one event; what fails is undone and kept in the table `failure`, and the next one has its turn."""
    told = {"id": event["id"], "subject": event["subject"]}
    database.execute("savepoint event")
    try:
        handle(event)
    except Exception as error:  # noqa: BLE001 - whatever it is, the cursor has to move on
        database.execute("rollback to event")
        database.execute(
            "insert or replace into failure values (?, ?, ?)", (event["id"], json.dumps(event), repr(error))
        )
        return {"failed": repr(error)} | told
    return {"handled": event["type"].split(".")[-2]} | told


def read_page() -> int:
    """Handles the events behind the stored cursor and stores the next one; how many there were."""
    page = get(f"{NOTIFICATIONS}/events", cursor=mark("cursor"), limit="200")
    database.execute("begin")
    told = [attempt(event) for event in page["items"]]
    for event in page["items"]:
        mark("last_time", max(event["time"], mark("last_time") or ""))
    mark("cursor", page["next"])  # is always there: the place to ask from next time
    database.execute("commit")
    for line in told:
        print(json.dumps(line), flush=True)
    return len(page["items"])


def items(url: str, **query: str | None) -> Iterator[dict[str, Any]]:
    """All of a list, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = get(url, cursor=cursor, limit="200", **query)
        yield from page["items"]
        cursor = page["next"]


def resources(since: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that events are about, by the subject they give it."""
    for service, names in CHANGED.items():
        for name in names:
            yield from ((f"{name}/{found['id']}", found) for found in items(f"{service}/{name}", updated_since=since))
    for name, key in WHOLE.items():
        yield from ((f"{name}/{found[key]}", found) for found in items(f"{REGISTRY}/{name}"))
    for project in items(f"{PROJECTS}/projects"):  # every one: it does not change when its parts do
        for name in PARTS:
            of_it = items(f"{PROJECTS}/projects/{project['id']}/{name}")
            yield from ((f"{name}/{found['id']}", found) for found in of_it)


def resync() -> None:
    """At the first start, and after too long a pause (410): what changed meanwhile, then the feed from its oldest."""
    last, count = mark("last_time"), 0
    # a day before: what was committed last need not have happened last
    since = (datetime.fromisoformat(last) - timedelta(days=1)).isoformat().replace("+00:00", "Z") if last else None
    for subject, document in resources(since):
        keep(subject, document)
        count += 1
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
            if error.code != 410:
                raise
            resync()
            continue
        if not waiting and ONCE:
            return
        time.sleep(0 if waiting else PAUSE_SECONDS)


if __name__ == "__main__":
    main()
