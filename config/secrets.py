"""The signing secrets of an installation whose settings give none."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from apps.core.private import private_directory, restrict_file

# The files in var/ that hold them, by the settings that go before.
FILES = {"APP_SECRET_KEY": "app-secret", "JWT_SECRET": "jwt-secret"}


def kept_secret(path: Path) -> str:
    """Return the secret in the file; the first time, write one of 64 random bytes.

    The complete file is linked into place, so that processes that start together use the same one.
    """
    if not path.exists():
        private_directory(path.parent)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        _write_private(fresh, secrets.token_urlsafe(64))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    restrict_file(path)
    return path.read_text().strip()


def signing_secrets() -> dict[str, str]:
    """Return the secrets that this process uses, by the names of their settings."""
    from django.conf import settings

    return {"APP_SECRET_KEY": settings.SECRET_KEY, "JWT_SECRET": settings.JWT_SECRET}


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
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        _write_private(fresh, secret)
        fresh.replace(path)


def _write_private(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    with path.open("w") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
