"""Who was erased: a file outside of the database, since a restored backup does not know it.

One line of JSON for each erasure, when it begins and when it is done, with the SHA-256 of the id of
the user. An id has more than 60 random bits, so nobody can guess it from that; only a database that
still has the user tells who it was.
"""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.core.private import private_file

Note = Callable[..., None]


def erasure_log() -> Path:
    """Return where the file is."""
    return Path(settings.DATA_DIR / "erasures.jsonl")


def digest_of(user_id: UUID) -> str:
    """Return what the log calls a user."""
    return hashlib.sha256(user_id.bytes).hexdigest()


@contextmanager
def noting(user_id: UUID) -> Iterator[Note]:
    """Yield what adds a line about a user, which survives a power cut; it raises OSError.

    One erasure runs at a time: two of one user would put two others in their place. Raises
    BlockingIOError while another one runs, instead of waiting: each may have locked what the other
    one needs.
    """
    path = erasure_log()
    private_file(path)
    # Without a buffer, whose rest would be written, and fail, again when the file is closed.
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield partial(_note, file, digest_of(user_id))


def _note(file: FileIO, user: str, **what: Any) -> None:
    line = {"user": user, "at": timezone.now().isoformat(), **what}
    text = _start_of_line(file) + json.dumps(line).encode() + b"\n"
    if file.write(text) < len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def noted() -> set[str]:
    """Return the digests of all users whose erasure was begun; raise OSError or ValueError if the
    log cannot be read."""
    path = erasure_log()
    if not path.exists():
        return set()
    return {one["user"] for one in map(_parsed, path.read_bytes().splitlines()) if one}


def _start_of_line(file: Any) -> bytes:
    """Return what ends a line that a power cut has left without its end, if there is one."""
    if file.seek(0, os.SEEK_END) == 0:
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    """Return a line; None if it was cut off, in which case nothing was erased yet."""
    try:
        found: Mapping[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found
