"""What is made once per user before the first start of Kafka: the jars, and two files from them."""

import asyncio
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from shared.local.children import Child
from shared.local.errors import LocalPartError, plain_errors
from shared.local.jars import KafkaJars, verified_jars
from shared.local.kafka import (
    Kafka,
    aot_cache,
    format_template,
    java_command,
    kafka_uuid,
    settings,
)
from shared.local.locks import wait_for_lock

_ASSEMBLY_SECONDS = 120.0
_TRAINING_SECONDS = 15.0
_KEPT_SECONDS = 30 * 86_400.0


async def kafka_jars(folder: Path | None = None, say: Callable[[str], None] = print) -> KafkaJars:
    """Return Kafka ready to start: jars fetched and verified, storage template and AOT cache made.

    Takes 0.05 s when all is there, else about half a minute once per user. Safe in several
    processes at once. Raises LocalPartError.
    """
    jars = await verified_jars(folder, say)
    with plain_errors("Kafka's set-up"):
        if not (format_template(jars).exists() and aot_cache(jars).exists()):
            await _set_up_locked(jars, say)
    return jars


async def _set_up_locked(jars: KafkaJars, say: Callable[[str], None]) -> None:
    lock_file = jars.cache / "kafka-setup.lock"
    with (
        await wait_for_lock(lock_file),
        tempfile.TemporaryDirectory(dir=jars.cache, prefix="setup-") as folder,
    ):
        if not format_template(jars).exists():
            await _make_template(jars, Path(folder))
        if not aot_cache(jars).exists():
            say("Apache Kafka: preparing fast starts, once per user (about 10 s)")
            await _make_aot_cache(jars, Path(folder), say)


async def _make_template(jars: KafkaJars, home: Path) -> None:
    """Let Kafka's own tool write the features of a new cluster, and keep them for all homes."""
    (home / "kafka.properties").write_text(settings(port=1, controller_port=2))  # never opened
    tool = Child("kafka-format", home, signal.SIGTERM)
    arguments = ("format", "--cluster-id", kafka_uuid(), "--config", "kafka.properties")
    tool.start(java_command(jars, "kafka.tools.StorageTool", *arguments), cwd=home)
    try:
        code = await tool.wait()
    finally:
        await tool.stop()
    if code:
        raise tool.failure("Kafka cannot format its storage")
    (home / "kafka" / "bootstrap.checkpoint").replace(format_template(jars))
    shutil.rmtree(home / "kafka")


async def _make_aot_cache(jars: KafkaJars, home: Path, say: Callable[[str], None]) -> None:
    """Run a node once; its JVM notes at the end what it loaded, and later starts are faster."""
    half = home / "half.aot"
    try:
        await _train(Kafka(home, None, jars, jvm_flags=[f"-XX:AOTCacheOutput={half}"]))
    except (LocalPartError, TimeoutError, KafkaError) as error:
        half.unlink(missing_ok=True)
        say(f"Apache Kafka: the preparation failed, starts take a second longer ({error})")
    half.touch()  # left empty it is of no use, but is not tried again at every start either
    half.replace(aot_cache(jars))
    _drop_old_caches(jars)


def _drop_old_caches(jars: KafkaJars) -> None:
    """Remove caches of other installations that are a month old; one still in use is made again."""
    for cache in jars.cache.glob("kafka-*.aot"):
        if cache != aot_cache(jars) and time.time() - cache.stat().st_mtime > _KEPT_SECONDS:
            cache.unlink(missing_ok=True)


async def _train(kafka: Kafka) -> None:
    try:
        await kafka.start()
        async with asyncio.timeout(_TRAINING_SECONDS):
            with _quiet_client():
                await _exercise(kafka.bootstrap)
    finally:
        await kafka.stop(_ASSEMBLY_SECONDS)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the client's complaints, which a brand-new node causes, from the set-up's output."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _exercise(bootstrap: str) -> None:
    """Do once what a day's work consists of, so that its classes are in the cache too."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("training", 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait("training", b"record", b"key")
    async with AIOKafkaConsumer(
        "training", bootstrap_servers=bootstrap, group_id="training", auto_offset_reset="earliest"
    ) as consumer:
        await consumer.getone()
