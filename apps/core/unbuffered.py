"""Text files without a buffer: Python's end waits for the lock of a buffer while a write hangs."""

import io
import select
from pathlib import Path
from typing import Any


def unbuffered(file: int | Path) -> io.TextIOWrapper:
    """Return a stream that writes to the file that is open by this number, which stays open, or to
    the end of the one at this path."""
    by_number = isinstance(file, int)
    raw = WholeWrites(file, "w" if by_number else "a", closefd=not by_number)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class WholeWrites(io.FileIO):
    """A file that takes all of what is written, where the system's own call may take a part."""

    def write(self, data: Any) -> int:
        """Write all of the data, however long that takes, and return how many bytes it was."""
        left = memoryview(data)
        while left:
            written = super().write(left)
            if written is None:
                # Somebody else who writes there has made it non-blocking, and it is full.
                select.select([], [self], [])
            else:
                left = left[written:]
        return len(data)
