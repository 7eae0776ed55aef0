"""Files and folders that hold what people trusted us with: for this account alone to read.

What exists already is mended too. What another account owns is left as it is, and so is whatever
is no plain file or folder, such as /dev/stdout.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def private_directory(path: Path) -> None:
    """Have the folder there, with those above it that are missing, and to us alone (0700)."""
    if not path.exists():
        if not path.parent.exists():
            private_directory(path.parent)
        # Another process may make it at the same moment.
        path.mkdir(mode=0o700, exist_ok=True)
    _mend(path, stat.S_IFDIR, 0o700)


def private_file(path: Path) -> None:
    """Have the file there, empty when it is new, and to us alone (0600).

    A folder that is missing is made, to us alone. One that was there before, such as /var/log,
    keeps its mode.
    """
    if not path.exists():
        if not path.parent.exists():
            private_directory(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    mend_file(path)


def mend_file(path: Path) -> None:
    """Keep the file to us alone if it is there; do not make it."""
    _mend(path, stat.S_IFREG, 0o600)


def _mend(path: Path, kind: int, mode: int) -> None:
    # It may vanish at any moment, and a read-only disk lets nothing be mended.
    with suppress(OSError):
        found = path.stat()
        ours = found.st_uid == os.geteuid()
        if ours and stat.S_IFMT(found.st_mode) == kind and stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
