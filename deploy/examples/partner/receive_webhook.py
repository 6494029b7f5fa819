"""Receive Bandung's webhooks: verify, store, answer; handle afterwards, each event once. Standard library only.

    WEBHOOK_SECRET=whsec_... python receive_webhook.py        # listens on 127.0.0.1:8080, put TLS before it

Deliveries come at least once and in any order, so an event is known by its id, and a state by its version.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
DATABASE = os.environ.get("DATABASE", "webhooks.sqlite")
PORT = int(os.environ.get("PORT", "8080"))
TOLERANCE_SECONDS = 300
MAX_BYTES = 1_000_000
arrived = threading.Event()


def connect() -> sqlite3.Connection:
    """One connection per thread; what is committed is on the disk before we answer."""
    connection = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table if not exists event (id text primary key, body text, handled integer default 0)")
    connection.execute("create table if not exists state (subject text primary key, version integer, data text)")
    return connection


def is_genuine(message_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """Whether one of the signatures is ours (after rotate-secret two are sent) and the message is not an old one."""
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    digest = hmac.digest(SECRET, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    return any(hmac.compare_digest(expected, given.encode()) for given in signatures.split())


class Endpoint(BaseHTTPRequestHandler):
    """Answers as soon as the event is stored; Bandung waits 15 seconds and then tries again later."""

    def do_POST(self) -> None:
        """401 for what Bandung has not signed; 2xx means that it is ours now, also when we had it already."""
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length <= MAX_BYTES else b""
        message_id, timestamp, signatures = (
            self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        if not is_genuine(message_id, timestamp, signatures, body):
            self.send_error(401)
            return
        connection = connect()
        connection.execute("insert or ignore into event (id, body) values (?, ?)", (message_id, body.decode()))
        connection.close()
        self.send_response(204)
        self.end_headers()
        arrived.set()

    def log_message(self, *_: object) -> None:
        """Quiet: what matters is printed when it is handled."""


def handle(connection: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Your own work; runs in one transaction with the mark that it is done."""
    name = event["type"].split(".")[-2]
    for state in event["data"].values():  # each aggregate concerned with its full state, and `by`
        if "id" in state and event["subject"].endswith(state["id"]):
            connection.execute(
                "insert into state values (?, ?, ?) on conflict do update set version = excluded.version,"
                " data = excluded.data where excluded.version > version",  # an older state arrived late: keep ours
                (event["subject"], state["version"], json.dumps(state)),
            )
    print(json.dumps({"handled": name, "id": event["id"], "subject": event["subject"]}), flush=True)


def work() -> None:
    """Handles what is stored and not yet handled, also what an earlier run left behind."""
    connection = connect()
    while True:
        arrived.clear()
        for message_id, body in connection.execute("select id, body from event where not handled").fetchall():
            connection.execute("begin immediate")
            handle(connection, json.loads(body))
            connection.execute("update event set handled = 1 where id = ?", (message_id,))
            connection.execute("commit")
        arrived.wait()


if __name__ == "__main__":
    connect().close()
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"Listening on 127.0.0.1:{PORT}", file=sys.stderr, flush=True)
    work()  # an event that `handle` fails on ends the program, and is the first one next time
