"""Files that commands write for the operator: where they are, and what is said if one fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from apps.core.private import private_directory
from config.backup.errors import BackupError
from config.stopping import exit_when_told_to_stop


def dated_path(folder: str, name: str) -> Path:
    """Return the path of a new zip in a folder of var/, which is made: the name with the time.
    Raises CommandError if the folder cannot be made."""
    parent = Path(settings.DATA_DIR / folder)
    try:
        private_directory(parent)
    except OSError as error:
        raise CommandError(f"{parent} cannot be made: {error.strerror or error}.") from error
    return parent / f"{name}-{timezone.now():%Y%m%dT%H%M%SZ}.zip"


@contextmanager
def writing(path: Path, last_line: str) -> Iterator[None]:
    """Have a failure of the block, which writes the file, end the command with a sentence, and a
    signal with the last line."""
    try:
        with exit_when_told_to_stop(last_line):
            yield
    except BackupError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
