"""The signing secrets of an installation whose settings give none."""

import os
import secrets
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
        private_directory(path.parent)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        with fresh.open("w") as file:
            file.write(new_secret())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    restrict_file(path)
    return path.read_text().strip()
