"""Values that a request or a socket leaves to be written: nobody waits for the database."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

import structlog
from django.db import close_old_connections, connection

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounds(NamedTuple):
    """After how many seconds values are written, how many may wait, and how many are written at
    once."""

    seconds: float
    most: int
    batch: int


class WriteBehind(ABC, Generic[K, V]):
    """Keeps the last value for each key, and writes all of them together some seconds later.

    Values that could not be written are tried again, and those beyond the bound are dropped. A
    process that is killed loses what it has not written.
    """

    # What the values are, for the log.
    name: ClassVar[str]

    def __init__(self) -> None:
        self._waiting: dict[K, V] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """Return the bounds."""

    @abstractmethod
    def save(self, values: Sequence[V]) -> None:
        """Write values, in one transaction."""

    def put(self, key: K, value: V) -> None:
        """Have a value written soon, if it is not one too many. It does not wait.

        A newer value of a key takes the place of the one that waits.
        """
        with self._lock:
            if key in self._waiting or len(self._waiting) < self.bounds.most:
                self._waiting[key] = value
            self._start_timer()

    def flush(self) -> None:
        """Write what waits. The timer calls it, and so does a process that stops."""
        with self._lock:
            waiting, self._waiting, self._timer = list(self._waiting.items()), {}, None
        batch = self.bounds.batch
        for start in range(0, len(waiting), batch):
            try:
                self.save([value for _, value in waiting[start : start + batch]])
            except Exception:
                left = dict(waiting[start:])
                log.warning(
                    "not saved, trying again", what=self.name, left=len(left), exc_info=True
                )
                with self._lock:
                    # What came meanwhile is newer.
                    self._waiting = left | self._waiting
                    self._start_timer()
                return

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self.bounds.seconds, self._flush_in_thread)
            self._timer.daemon = True
            self._timer.start()

    def _flush_in_thread(self) -> None:
        close_old_connections()
        self.flush()
        connection.close()
