"""Where messages are kept until the server has acknowledged or refused them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

# What a message needs to be sent: clientId, receiverId, content.
Entry = dict[str, Any]


class Journal(Protocol):
    """Keeps messages over a restart of the program. Its methods run in a thread, one at a time."""

    def entries(self) -> Iterable[Entry]:
        """Return the messages without an outcome, in the order in which they were added."""

    def add(self, entry: Entry) -> None:
        """Keep a message; return when it would survive the end of the program."""

    def remove(self, client_id: str) -> None:
        """Forget a message, whose outcome is known."""


class FileJournal:
    """A journal in a file of one program: a line for each message, and one for each outcome.

    The file is flushed to disk with each message. A line that was cut off, since the program died
    while it wrote, is ignored: its message was not sent yet.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._known: dict[str, Entry] = {}

    def entries(self) -> Iterable[Entry]:
        """Read the file, write it anew without what is over, and return what is left."""
        self._known = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._read(line)
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(_line(entry) for entry in self._known.values())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        return list(self._known.values())

    def add(self, entry: Entry) -> None:
        """Append the message and flush the file to disk."""
        self._append(_line(entry), flush=True)

    def remove(self, client_id: str) -> None:
        """Append that the message is over. If this line is lost, the message is sent again with its
        client id, and the server answers with the first one."""
        self._append(_line({"over": client_id}), flush=False)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            over = entry.get("over")
        except (ValueError, AttributeError):
            return
        if over is not None:
            self._known.pop(over, None)
        elif "clientId" in entry:
            self._known[entry["clientId"]] = entry

    def _append(self, line: str, *, flush: bool) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            if flush:
                os.fsync(file.fileno())


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=True) + "\n"
