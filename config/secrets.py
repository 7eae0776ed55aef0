"""The signing secrets of an installation whose settings give none."""

import os
import secrets
from pathlib import Path

from apps.core.private import private_directory, restrict_file


def kept_secret(path: Path) -> str:
    """Return the secret in the file; the first time, write one of 64 random bytes.

    The complete file is linked into place, so that processes that start together use the same one.
    """
    if not path.exists():
        private_directory(path.parent)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        with fresh.open("w") as file:
            file.write(secrets.token_urlsafe(64))
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
