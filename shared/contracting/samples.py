"""Golden samples: whole records that every later version must still read. They are only ever added to.

An event version gets one sample with everything null that may be null, and one with nothing null; when it gains a
member, one more that has it. No file is changed or removed again: `manifest.json` holds their SHA-256 sums.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.contracting import records, schemas
from shared.contracting.examples import Fill
from shared.contracting.files import FOLDER as DOCUMENTS
from shared.contracting.files import text_of
from shared.messaging.envelope import CloudEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.messaging.envelope import Event
    from shared.service import Service

Json = dict[str, Any]
FOLDER = DOCUMENTS / "samples"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One committed record."""

    name: str
    """`NeedPosted.v1/001.json`"""
    headers: dict[str, str]
    data: Json

    @property
    def event(self) -> CloudEvent:
        """As a consumer reads it."""
        headers = [(name, value.encode()) for name, value in self.headers.items()]
        return CloudEvent.from_record(headers, json.dumps(self.data).encode())


def committed(folder: Path = FOLDER) -> list[Sample]:
    """All samples, in the order in which they were added."""
    found = [
        Sample(file.relative_to(folder).as_posix(), **json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(folder.glob("*/*.json"))
    ]
    return sorted(found, key=lambda sample: sample.headers["ce_sequence"])


def digests(folder: Path = FOLDER) -> dict[str, str]:
    """Name -> SHA-256 of every sample as it lies there."""
    files = sorted(folder.glob("*/*.json"))
    return {f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def manifest(folder: Path = FOLDER) -> dict[str, str]:
    """Name -> SHA-256 as it was when the sample was added."""
    file = folder / MANIFEST
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def lacking(services: Sequence[Service], folder: Path = FOLDER) -> list[Sample]:
    """The samples that are to be added, with their numbers."""
    there = committed(folder)
    made: list[Sample] = []
    for service in services:
        for event in service.publishes:
            its = [sample for sample in there if sample.name.startswith(f"{schemas.versioned(event)}/")]
            for data in _data(event, service, its):
                made.append(_sample(event, service, data, len(its) + 1, len(there) + len(made) + 1))
                its.append(made[-1])
    return made


def add(samples: Sequence[Sample], folder: Path = FOLDER) -> None:
    """Writes new samples and their sums."""
    for sample in samples:
        file = folder / sample.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of({"headers": sample.headers, "data": sample.data}), encoding="utf-8")
    if samples:
        sums, new = digests(folder), {sample.name for sample in samples}
        listed = {**manifest(folder), **{name: sums[name] for name in new}}
        (folder / MANIFEST).write_text(text_of(dict(sorted(listed.items()))), encoding="utf-8")


def _data(event: type[Event], service: Service, its: Sequence[Sample]) -> Iterator[Json]:
    whole = records.data_of(event, service.examples, Fill.ALL)
    if not its:
        yield records.data_of(event, service.examples, Fill.NULLS)
    if not any(_places(whole) <= _places(sample.data) for sample in its):
        yield whole


def _sample(event: type[Event], service: Service, data: Json, number: int, position: int) -> Sample:
    """`position` among all samples makes the sequence, so that each is newer than those before it."""
    name = f"{schemas.versioned(event)}/{number:03d}.json"
    made = records.record(
        event, data, service.settings.base_url, event_id=_id(name), sequence=position, caused=number % 2 == 0
    )
    return Sample(name, {header: value.decode() for header, value in made.headers()}, data)


def _id(name: str) -> UUID:
    """The same for the same sample, and of version 7 as all ids are."""
    raw = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    raw[:6] = bytes.fromhex("01a20cda2000")
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))


def _places(value: Any, where: str = "") -> set[str]:  # noqa: ANN401 (any JSON)
    """Where a sample has something: the pointers of all members that are not null."""
    if isinstance(value, dict):
        return {place for name, item in value.items() for place in _places(item, f"{where}/{name}")}
    if isinstance(value, list):
        return {where} | {place for item in value for place in _places(item, f"{where}/*")}
    return set() if value is None else {where}
