"""The secrets of an installation whose settings give none.

`python -m config.secrets FOLDER NAME...` keeps one file for each name, which the setting NAME_FILE
can point to.
"""

import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from apps.core.private import private_directory, restrict_file

# What makes a secret that no check refuses.
HOW_TO_MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"
SECRET_BYTES = 64
# A word that is repeated has fewer different characters; 64 random digits have about as many.
FEWEST_CHARACTERS = 10


def new_secret() -> str:
    """Return 64 random bytes as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


def is_repetitive(secret: str) -> bool:
    """Return whether the secret has too few different characters to be random."""
    return len(set(secret)) < FEWEST_CHARACTERS


def kept_secret(path: Path) -> str:
    """Return the secret in the file; the first time, write one of 64 random bytes.

    The complete file is linked into place, so that processes that start together use the same one.
    """
    if not path.exists():
        fresh = _written(path, new_secret())
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    restrict_file(path)
    return path.read_text().strip()


def keep_secrets(folder: Path, names: Sequence[str]) -> None:
    """Have a file for each name in the folder: with what the environment gives under that name,
    else with a secret that is random and stays."""
    for name in names:
        if given := os.environ.get(name):
            _written(folder / name, given).replace(folder / name)
        else:
            kept_secret(folder / name)


def _written(path: Path, content: str) -> Path:
    """Write the content to a new file next to the path, for this account alone, and return it."""
    private_directory(path.parent)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


if __name__ == "__main__":
    keep_secrets(Path(sys.argv[1]), sys.argv[2:])
