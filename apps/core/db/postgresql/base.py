"""Connections to PostgreSQL that are asked whether they work when they lay idle, not each time.

Django asks by a query before the first statement of each request, which costs a round trip. Here a
query does so once in a while, and meanwhile a look at the socket: a server that ends a connection
says so there (docs/decisions/0032-way-to-the-view.md).
"""

import select
import time

from django.db.backends.postgresql import base

# A connection is asked by a query when the last time is longer ago than this, in seconds.
ASK_SECONDS = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection, checked as the module says."""

    health_check_done: bool
    # How long transactions that begin now wait for a lock, in milliseconds; None for the time that
    # is configured.
    lock_milliseconds: int | None = None
    _ask_at = 0.0

    def close_if_health_check_failed(self) -> None:
        """See Django's, which closes a connection that does not answer a query."""
        if self.connection is not None and not self.health_check_done:
            now = time.monotonic()
            if now < self._ask_at and self._silent():
                self.health_check_done = True
            else:
                self._ask_at = now + ASK_SECONDS
        super().close_if_health_check_failed()

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]
        if not autocommit and self.lock_milliseconds is not None:
            # As a pipeline, BEGIN and this take one round trip, as BEGIN does alone.
            with self.wrap_database_errors, self.connection.pipeline():
                self.connection.execute(f"SET LOCAL lock_timeout = {self.lock_milliseconds}")

    def _silent(self) -> bool:
        """Return whether the server has sent nothing since the last answer. What it sends unasked
        is mostly that it ends the connection."""
        if self.connection.closed:
            return False
        # Not select(), which fails for a descriptor over 1,023.
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)
