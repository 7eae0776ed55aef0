"""Text files without a buffer: while a write hangs, Python could not end, since it would wait for
the lock of the buffer."""

import io
import select
from pathlib import Path
from typing import Any


def unbuffered(file: int | Path) -> io.TextIOWrapper:
    """Return a stream that appends to the file at a path, or writes to an open file descriptor,
    which stays open when the stream is closed."""
    by_number = isinstance(file, int)
    raw = WholeWrites(file, "w" if by_number else "a", closefd=not by_number)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class WholeWrites(io.FileIO):
    """A file that writes all of the data, where the system call may write only a part."""

    def write(self, data: Any) -> int:
        """Write all of the data, however long that takes, and return its length in bytes."""
        left = memoryview(data)
        while left:
            written = super().write(left)
            if written is None:
                # Another program that shares the file has made it non-blocking, and it is full.
                select.select([], [self], [])
            else:
                left = left[written:]
        return len(data)
