"""Files and folders with user data: only this account may read them.

Modes of existing files and folders are corrected too. What another account owns keeps its mode, and
so does everything that is no plain file or folder, such as /dev/stdout.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def private_directory(path: Path) -> None:
    """Create the folder and its missing parents, and restrict it to this account (0700)."""
    if not path.exists():
        if not path.parent.exists():
            private_directory(path.parent)
        # Another process may create it at the same moment.
        path.mkdir(mode=0o700, exist_ok=True)
    _restrict(path, stat.S_IFDIR, 0o700)


def private_file(path: Path) -> None:
    """Create the file if it is missing, and restrict it to this account (0600).

    Missing folders are created for this account alone. A folder that exists already, such as
    /var/log, keeps its mode.
    """
    if not path.exists():
        if not path.parent.exists():
            private_directory(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    restrict_file(path)


def restrict_file(path: Path) -> None:
    """Restrict the file to this account (0600) if it exists."""
    _restrict(path, stat.S_IFREG, 0o600)


def _restrict(path: Path, kind: int, mode: int) -> None:
    # The file may vanish at any moment, and a read-only disk refuses the change.
    with suppress(OSError):
        found = path.stat()
        ours = found.st_uid == os.geteuid()
        if ours and stat.S_IFMT(found.st_mode) == kind and stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
