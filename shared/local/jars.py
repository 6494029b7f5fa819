"""The jars of Apache Kafka: fetched once a user, and never run unless their SHA-256 sums agree.

`kafka-jars.sha256` lists each jar as `<sum>  <path in a Maven repository>`. After a change of
version: `python -m shared.local.jars > shared/local/kafka-jars.sha256`.
"""

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shared.local.errors import LocalPartError, plain_errors
from shared.local.locks import wait_for_lock

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.1"
_SUMS_FILE = Path(__file__).with_name("kafka-jars.sha256")
# Kafka's own jars bring the API of SLF4J 1.7 but nothing behind it: without a binding of the same
# series it logs nothing, not even why it cannot start. This one is the smallest.
_ROOTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)
_WAYS_OUT = (
    "Check the network (HTTPS_PROXY is obeyed, and a mirror named under [repositories] in jgo's "
    "settings file); or bring the jars in a folder and name it with --kafka-jars or "
    "BANDUNG_KAFKA_JARS; or use a Kafka of your own with BANDUNG_KAFKA_BOOTSTRAP."
)


@dataclass(frozen=True)
class KafkaJars:
    """Verified jars, and where things made from them are kept."""

    folder: Path
    cache: Path

    @property
    def class_path(self) -> str:
        """The jars one by one and sorted: the AOT cache is valid for this very string only."""
        return os.pathsep.join(str(self.folder / name) for name in sorted(_sums_by_name()))


def cache_folder() -> Path:
    """Return the folder for what may be shared between homes and made again at any time."""
    if chosen := os.environ.get("BANDUNG_CACHE"):
        return Path(chosen).absolute()
    import platformdirs  # noqa: PLC0415 - comes with the extra `local`

    return platformdirs.user_cache_path("bandung", appauthor=False)


async def verified_jars(folder: Path | None, say: Callable[[str], None]) -> KafkaJars:
    """Return the jars in `folder`, in BANDUNG_KAFKA_JARS or in the cache, fetched if need be.

    `say` gets progress in lines for a person. Raises LocalPartError: a jar is missing or differs
    from its sum, the package registry cannot be reached, the disk is full.
    """
    named = folder or os.environ.get("BANDUNG_KAFKA_JARS")
    cache = cache_folder()
    with plain_errors("Kafka's jars"):
        if named:
            jars = KafkaJars(Path(named).absolute(), cache)  # noqa: ASYNC240
            await asyncio.to_thread(_refuse_bad, jars.folder)
            return jars
        jars = KafkaJars(cache / f"kafka-{KAFKA_VERSION}", cache)
        if await asyncio.to_thread(_bad_jars, jars.folder):
            await _fetch_locked(jars.folder, say)
        return jars


def _refuse_bad(folder: Path) -> None:
    if bad := _bad_jars(folder):
        missing = [name for name in bad if not (folder / name).exists()]
        fault = f"lacks {missing[0]}" if missing else f"has a wrong SHA-256 sum for {bad[0]}"
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise LocalPartError(
            f"the folder of Kafka's jars {folder} {fault}{others}. The jars wanted are listed in {_SUMS_FILE}."
        )


def _bad_jars(folder: Path) -> list[str]:
    """Return the names of jars that are missing or not what they should be."""
    with ThreadPoolExecutor() as pool:
        sums = _sums_by_name()
        good = pool.map(lambda name: _has_sum(folder / name, sums[name]), sums)
        return [name for name, is_good in zip(sums, good, strict=True) if not is_good]


def _has_sum(file: Path, wanted: str) -> bool:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == wanted
    except FileNotFoundError:
        return False


def _sums() -> dict[PurePosixPath, str]:
    lines = (line.split() for line in _SUMS_FILE.read_text().splitlines())
    return {PurePosixPath(path): digest for digest, path in lines}


def _sums_by_name() -> dict[str, str]:
    return {path.name: digest for path, digest in _sums().items()}


async def _fetch_locked(folder: Path, say: Callable[[str], None]) -> None:
    """Fetch what is missing, one process of the user at a time."""
    lock_file = folder.with_name(f"{folder.name}.lock")
    lock = await wait_for_lock(lock_file)
    stop = threading.Event()
    with lock:
        try:
            await asyncio.to_thread(_fetch, folder, say, stop)
        finally:
            stop.set()  # a thread cannot be cancelled, it is told to give up


def _fetch(folder: Path, say: Callable[[str], None], stop: threading.Event) -> None:
    """Fetch the bad jars; what was fetched before an interruption is not fetched again."""
    bad = set(_bad_jars(folder))
    wanted = {path: digest for path, digest in _sums().items() if path.name in bad}
    if not wanted:
        return  # another process was quicker
    folder.mkdir(parents=True, exist_ok=True)
    context = _maven(folder / "partial", stop)
    with _progress(len(wanted), say) as advance, ThreadPoolExecutor(4) as pool:
        fetch = partial(_fetch_one, context, folder, stop=stop)
        try:
            for _ in pool.map(fetch, wanted, wanted.values()):
                advance()
        finally:
            stop.set()


def _fetch_one(
    context: "MavenContext",
    folder: Path,
    path: PurePosixPath,
    digest: str,
    *,
    stop: threading.Event,
) -> None:
    import requests  # noqa: PLC0415 - comes with the extra `local`

    *group, artifact, version, _ = path.parts
    jar = context.project(".".join(group), artifact).at_version(version).artifact()
    half = context.repo_cache / path
    if stop.is_set() or _adopt(half, folder, digest):
        return
    half.unlink(missing_ok=True)  # cut short the last time
    try:
        jar.resolve()
    except (requests.RequestException, RuntimeError) as error:
        raise LocalPartError(f"Kafka's jar {path.name} cannot be fetched: {_cause(error)}. {_WAYS_OUT}") from error
    if not _adopt(half, folder, digest):
        half.unlink(missing_ok=True)
        raise LocalPartError(
            f"Kafka's jar {path.name}, as the package registry gave it, has a wrong SHA-256 sum "
            f"and is not used. {_WAYS_OUT}"
        )


def _adopt(half: Path, folder: Path, digest: str) -> bool:
    """Give a fetched jar its place, if it is what it should be."""
    if not _has_sum(half, digest):
        return False
    half.replace(folder / half.name)
    return True


def _cause(error: Exception) -> str:
    return (
        "the package registry does not have it"
        if isinstance(error, RuntimeError)
        else (f"the package registry cannot be reached ({type(error).__name__})")
    )


def _maven(repository: Path, stop: threading.Event | None = None) -> "MavenContext":
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - comes with the extra `local`
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    except ImportError as error:
        raise LocalPartError(
            f"the library that fetches Kafka is missing: pip install 'bandung[local]' ({error})"
        ) from error

    @contextmanager
    def watch(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield lambda _count: _give_up(stop)

    return MavenContext(
        resolver=PythonResolver(progress_callback=watch),
        repo_cache=repository,
        remote_repos=dict(GlobalSettings.load().repositories) or None,
    )


def _give_up(stop: threading.Event | None) -> None:
    if stop and stop.is_set():
        raise LocalPartError("stopped")


@contextmanager
def _progress(total: int, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Show the count of files fetched: a bar on a terminal, else a line now and then."""
    title = f"Apache Kafka {KAFKA_VERSION}, once per user"
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - not needed when nothing is fetched
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)
        return
    done = iter(range(1, total + 1))

    def advance() -> None:
        if (count := next(done)) % 15 == 0 or count == total:
            say(f"{title}: {count} of {total} files")

    say(f"{title}: fetching {total} files")
    yield advance


def main() -> None:
    """Print the sums of the jars that the roots need today, resolved as Maven does."""
    from jgo.maven import Dependency  # noqa: PLC0415 - comes with the extra `local`

    context = _maven(cache_folder() / "kafka-resolve")
    roots = [Dependency(context.project(g, a).at_version(v).artifact()) for g, a, v in _ROOTS]
    inputs, others = context.resolver.resolve(roots)
    for jar in sorted(dependency.artifact.resolve() for dependency in inputs + others):
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        print(f"{digest}  {jar.relative_to(context.repo_cache).as_posix()}")  # noqa: T201


if __name__ == "__main__":
    main()
