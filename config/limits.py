"""How long a statement of the server may take, wait for a lock, or leave a transaction open.

The client of a request that takes longer has given up, while the request holds one of the few
threads, and perhaps a lock that other requests wait for. A migration or a backfill may take hours,
so the limits apply to what config/asgi.py serves and not to commands.
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper


def limit_connections(database: dict[str, Any]) -> None:
    """Set the limits for every connection that is opened from now on to a database, which is one of
    settings.DATABASES. SQLite has no such limits.

    A connection sends them when it is opened, without a further round trip. The `options` of
    DATABASE_URL come after them and override them.
    """
    if database["ENGINE"].endswith("postgresql"):
        limits = {
            "statement_timeout": settings.DB_STATEMENT_TIMEOUT,
            "lock_timeout": settings.DB_LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": settings.DB_IDLE_TRANSACTION_TIMEOUT,
        }
        ours = [f"-c {name}={seconds}s" for name, seconds in limits.items() if seconds]
        given = database["OPTIONS"].pop("options", "")
        if options := " ".join([*ours, given]).strip():
            database["OPTIONS"]["options"] = options


def lift_statement_limit(connection: BaseDatabaseWrapper) -> None:
    """Remove the time limit of statements from a connection that is not open yet."""
    found = connection.settings_dict
    limited = found["OPTIONS"].get("options", "")
    if "statement_timeout" in limited:
        lifted = {**found["OPTIONS"], "options": f"{limited} -c statement_timeout=0"}
        connection.settings_dict = {**found, "OPTIONS": lifted}
