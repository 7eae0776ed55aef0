"""What the operator should read when a server starts."""

from collections.abc import Iterator

from django.db import DatabaseError, connection

from apps.core.features import features


def start_notices() -> list[str]:
    """Return the notices of all features; none if the database cannot be asked for them now. It
    leaves no connection open, since the thread that starts a server needs none afterwards."""
    try:
        return list(_notices())
    except DatabaseError:
        return []
    finally:
        connection.close()


def _notices() -> Iterator[str]:
    for feature in features().values():
        if feature.start_notice and (notice := feature.start_notice()):
            yield notice
