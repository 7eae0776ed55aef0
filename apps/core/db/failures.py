"""What an error of the database says: about the transaction that it ended, and too much."""

from django.db import DatabaseError, InterfaceError, OperationalError

# By these a living PostgreSQL says that it undid the transaction (its manual, appendix A): a
# conflict or a deadlock, a lock that was not to be had, a statement that took too long or asked
# for too much.
_UNDONE = ("40001", "40P01", "55P03", "57014", "54")


def surely_undone(error: Exception) -> bool:
    """Return whether it is certain that nothing is kept of the transaction that raised this.

    Where the database went away it is not: the commit may have been its last deed. Work that is
    not safe to repeat must not be tried again then.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return sqlstate.startswith(_UNDONE)


def met_a_lock(error: Exception) -> bool:
    """Return whether the error is that a lock was not to be had in time."""
    return getattr(error.__cause__, "sqlstate", None) == "55P03"


def hide_values(error: BaseException) -> None:
    """Cut what the database says of the error, and of those behind it, to the first line.

    PostgreSQL's further lines show the row or the statement, with what somebody wrote in it.
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, DatabaseError) or hasattr(behind, "sqlstate"):
            behind.args = (str(behind).partition("\n")[0],)
        behind = behind.__cause__ or behind.__context__
