"""The secrets of an installation whose settings give none.

`python -m config.secrets FOLDER NAME...` keeps one file for each name, which the setting NAME_FILE
can point to.
"""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
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


# The files in var/ that hold them, by the settings that go before.
FILES = {
    "APP_SECRET_KEY": "app-secret",
    "JWT_SECRET": "jwt-secret",
    "VAPID_SECRET": "vapid-secret",
}


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


def signing_secrets() -> dict[str, str]:
    """Return the secrets that this process uses, by the names of their settings."""
    from django.conf import settings

    return {
        "APP_SECRET_KEY": settings.SECRET_KEY,
        "JWT_SECRET": settings.JWT_SECRET,
        "VAPID_SECRET": settings.VAPID_SECRET,
    }


def require_usable(given: Mapping[str, str]) -> None:
    """Raise BackupError if a setting gives another secret than these, and so goes before."""
    from config import env
    from config.backup.errors import BackupError

    for name, secret in given.items():
        if env.text(name) not in ("", secret):
            raise BackupError(
                f"{name} is set, to another secret than that of the backup. Take the setting away "
                "or leave out --with-secrets."
            )


def keep_secrets(given: Mapping[str, str]) -> None:
    """Have the processes that start from now on use these secrets."""
    from django.conf import settings

    for name, secret in given.items():
        path = settings.DATA_DIR / FILES[name]
        _written(path, secret).replace(path)


def make_secrets(folder: Path, names: Sequence[str]) -> None:
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
    make_secrets(Path(sys.argv[1]), sys.argv[2:])
