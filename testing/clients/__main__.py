"""openapi.yaml has no fault, and generated clients work: python -m testing.clients.

The linter reads it, a TypeScript and a Python client are generated from it, their types are
checked, and each walks through the API of a real server with a new database. The types of the
module for browsers are checked too. The tools of Node.js
are those of package-lock.json, which `make check-clients` installs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testing.database import use_database
from testing.server import ServerProcess

HERE = Path(__file__).parent
GENERATED = HERE / "generated"
DOCUMENT, TYPES = "../../openapi.yaml", "generated/api.d.ts"
TOOLS = HERE / "node_modules" / ".bin"
SCRIPTS = Path(sys.executable).parent


def main() -> int:
    """Do every step, and return 0 only if nothing is wrong."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    steps: dict[str, Sequence[str | Path]] = {
        "redocly lint": [TOOLS / "redocly", "lint", "--config", "lint.yaml", DOCUMENT],
        "TypeScript generated": [
            TOOLS / "openapi-typescript",
            DOCUMENT,
            "-o",
            "generated/api.d.ts",
        ],
        "TypeScript compiled": [TOOLS / "tsc", "-p", "tsconfig.json"],
        "browser types": [TOOLS / "tsc", "-p", "tsconfig.browser.json"],
        "Python generated": [
            *(SCRIPTS / "openapi-python-client", "generate", "--path", DOCUMENT),
            *("--output-path", "generated/parley_api", "--meta", "none"),
            *("--config", "python.yaml", "--fail-on-warning"),
        ],
        "Python types": [SCRIPTS / "mypy", "--config-file", "mypy.ini", "walk.py"],
    }
    if not all(succeeds(name, command) for name, command in steps.items()):
        return 1
    with server() as url:
        walks = {
            "TypeScript walk": ["node", "generated/walk.js", url],
            "Python walk": [sys.executable, "walk.py", url],
        }
        return int(not all(succeeds(name, command) for name, command in walks.items()))


def succeeds(name: str, command: Sequence[str | Path]) -> bool:
    """Run a step; say how it went, with its output if it failed."""
    environment: Mapping[str, str] = {
        **os.environ,
        "PYTHONPATH": str(GENERATED),
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }
    ended = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    print(f"{name}: {'failed' if ended.returncode else 'ok'}", flush=True)
    if ended.returncode:
        print(ended.stdout + ended.stderr, flush=True)
    return not ended.returncode


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of a server with an empty database."""
    with tempfile.TemporaryDirectory() as directory:
        use_database(Path(directory) / "clients.sqlite3")
        with ServerProcess(Path(directory) / "server.log") as process:
            yield process.url


if __name__ == "__main__":
    sys.exit(main())
