"""How long a statement of the server may take, wait for a lock, or leave a transaction open.

A request that takes longer has lost its client, and it holds one of the few threads, and with it
perhaps the lock that all others wait for. A migration or a backfill may take hours: so the limits
hold for what config/asgi.py serves, and not for commands.
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper


def limit_connections(database: dict[str, Any]) -> None:
    """Have PostgreSQL keep the limits on every connection to that one of settings.DATABASES which
    is opened from now on.

    They are sent as a connection is opened and cost no round trip. What DATABASE_URL itself says
    in its `options` comes after them and so goes first.
    """
    if database["ENGINE"].endswith("postgresql"):
        limits = {
            "statement_timeout": settings.DB_STATEMENT_TIMEOUT,
            "lock_timeout": settings.DB_LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": settings.DB_IDLE_TRANSACTION_TIMEOUT,
        }
        ours = [f"-c {name}={seconds}s" for name, seconds in limits.items() if seconds]
        given = database["OPTIONS"].pop("options", "")
        if said := " ".join([*ours, given]).strip():
            database["OPTIONS"]["options"] = said


def lift_statement_limit(connection: BaseDatabaseWrapper) -> None:
    """Let the statements of a connection that is not open yet take what they take."""
    found = connection.settings_dict
    limited = found["OPTIONS"].get("options", "")
    if "statement_timeout" in limited:
        lifted = {**found["OPTIONS"], "options": f"{limited} -c statement_timeout=0"}
        connection.settings_dict = {**found, "OPTIONS": lifted}
