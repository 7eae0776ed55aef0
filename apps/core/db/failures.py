"""Database errors: whether the transaction was rolled back, and hiding the user data in them."""

from django.db import DatabaseError, InterfaceError, OperationalError

# SQLSTATE codes with which PostgreSQL reports that it rolled the transaction back (its manual,
# appendix A): a conflict, a deadlock, a lock time-out, a cancelled statement, an exceeded limit.
_ROLLED_BACK = ("40001", "40P01", "55P03", "57014", "54")


def known_rolled_back(error: Exception) -> bool:
    """Return whether the transaction that raised this error was rolled back for certain.

    It is not certain when the database went away: it may have committed first. Work that is not
    safe to repeat must not be tried again then.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return sqlstate.startswith(_ROLLED_BACK)


def hit_lock_timeout(error: Exception) -> bool:
    """Return whether the error is a lock that was not available in time."""
    return getattr(error.__cause__, "sqlstate", None) == "55P03"


def hide_values(error: BaseException) -> None:
    """Cut the database messages of the error, and of its causes, to their first line.

    PostgreSQL's further lines show the row or the statement, which hold what a user wrote.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DatabaseError) or hasattr(cause, "sqlstate"):
            cause.args = (str(cause).partition("\n")[0],)
        cause = cause.__cause__ or cause.__context__
