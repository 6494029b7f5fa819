"""Bring your institutions and what they offer into Bandung, every night the whole list. Standard library only.

    REGISTRY=https://... CLIENT_ID=bdk_... CLIENT_SECRET=bds_... python nightly_upsert.py list.json

The list: `{"scheme": "ET-MOT", "institutions": [{"external_id": "LIDI-001", "name": ..., "type": ..., "country": ...,
"capabilities": [{"ref": "cap-1", "title": ..., ...}]}]}` with the members of POST /institutions and /capabilities.
It may be run again at any time, also after a crash: nothing is made twice, and what is the same is left alone.
With an operator's key it registers institutions; with an institution's own key it keeps that one up to date.
Exit code 1 when something was refused; the rest is done all the same.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

REGISTRY = os.environ["REGISTRY"]
known = sqlite3.connect(os.environ.get("DATABASE", "upsert.sqlite"), isolation_level=None)
known.execute("create table if not exists capability (ref text primary key, id text)")
Document = dict[str, Any]
access: Document = {"token": "", "until": 0.0}


def token() -> str:
    """A token of 15 minutes, asked for again a minute before it ends."""
    if time.monotonic() > access["until"]:
        key = {"client_id": os.environ["CLIENT_ID"], "client_secret": os.environ["CLIENT_SECRET"]}
        data = urllib.parse.urlencode({"grant_type": "client_credentials"} | key).encode()
        with urllib.request.urlopen(f"{REGISTRY}/token", data, timeout=30) as answer:
            given = json.load(answer)
        access.update(token=given["access_token"], until=time.monotonic() + given["expires_in"] - 60)
    return str(access["token"])


def call(method: str, path: str, body: Document | None = None, **headers: str) -> Document:
    """The answer; waits and tries again when the server asks for it. Raises HTTPError for refusals."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    sent |= {} if data is None else {"Content-Type": "application/json"}
    for tries in range(5):
        try:
            sent["Authorization"] = f"Bearer {token()}"
            request = urllib.request.Request(REGISTRY + path, data, sent, method=method)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code == 401 and tries == 0:
                access["until"] = 0.0  # the token was ended before its time
                continue
            wait = error.headers.get("Retry-After") or ""
            if not wait.isdecimal() or tries == 4:
                raise
        time.sleep(float(wait))
    raise AssertionError


def upsert(collection: str, found: Document | None, wanted: Document) -> tuple[str, Document]:
    """`created`, `changed` or `same`, and the resource."""
    if found is None:
        # a repeated request within 24 hours gets the first answer again; another content is another key
        key = hashlib.sha256(json.dumps([collection, wanted], sort_keys=True).encode()).hexdigest()
        return "created", call("POST", f"/{collection}", wanted, Idempotency_Key=key)
    once = {"institution_id", "publish"}  # said when it is made
    changes = {name: value for name, value in wanted.items() if name not in once and found.get(name) != value}
    if not changes:
        return "same", found
    # If-Match: if somebody changed it since we read it, 412, and tomorrow's run looks again
    after = call("PATCH", f"/{collection}/{found['id']}", changes, If_Match=f'"{found["version"]}"')
    return "changed" if after["version"] > found["version"] else "same", after


def find(path: str, wanted: Document, **query: str) -> Document | None:
    """The item of a list that has these members, if any."""
    items = call("GET", f"{path}?{urllib.parse.urlencode({'limit': '200'} | query)}")["items"]
    return next((dict(item) for item in items if wanted.items() <= item.items()), None)


def institution(scheme: str, entry: Document) -> tuple[str, Document]:
    """Found by its external id. Mind: another name, country or external id ends its verification."""
    external = {"scheme": scheme, "value": entry["external_id"]}
    wanted = {name: value for name, value in entry.items() if name not in ("external_id", "capabilities")}
    found = find("/institutions", {}, external_id=f"{scheme}:{entry['external_id']}")
    return upsert("institutions", found, wanted | ({} if found else {"external_ids": [external]}))


def capability(owner: Document, ref: str, entry: Document) -> str:
    """Found by the id we remember under our own ref; failing that (a crash, a lost file) by its title."""
    row = known.execute("select id from capability where ref = ?", (ref,)).fetchone()
    title = {"title": entry["title"]}
    found = (
        call("GET", f"/capabilities/{row[0]}")
        if row
        else find("/capabilities", title, institution_id=owner["id"], q=entry["title"])
    )
    if found is not None and found["status"] in ("withdrawn", "expired"):
        return "ended"  # somebody decided that, or nobody renewed it: for a person to look at
    outcome, made = upsert("capabilities", found, entry | {"institution_id": owner["id"], "publish": True})
    known.execute("insert or replace into capability values (?, ?)", (ref, made["id"]))
    return outcome


def problem(error: urllib.error.HTTPError) -> Document:
    """What the server said; whoever stands between may say it in another way than JSON."""
    text = error.read().decode(errors="replace")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {"status": error.code, "text": text[:200]}


def main(document: Document) -> int:
    """Works off the list; prints one line per refusal and the counts."""
    counts: Counter[str] = Counter()
    for entry in document["institutions"]:
        try:
            outcome, owner = institution(document["scheme"], entry)
            counts[f"institutions {outcome}"] += 1
            for offer in entry.get("capabilities", []):
                ref = f"{document['scheme']}:{entry['external_id']}/{offer['ref']}"
                members = {name: value for name, value in offer.items() if name != "ref"}
                counts[f"capabilities {capability(owner, ref, members)}"] += 1
        except urllib.error.HTTPError as error:
            counts["refused"] += 1
            print(json.dumps({"refused": entry.get("external_id"), "problem": problem(error)}))
        except KeyError as error:
            counts["refused"] += 1
            print(json.dumps({"refused": entry.get("external_id"), "missing": str(error.args[0])}))
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            counts["refused"] += 1
            print(json.dumps({"refused": entry.get("external_id"), "no answer": str(error)}))
    print(json.dumps(dict(sorted(counts.items()))))
    return 1 if counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
