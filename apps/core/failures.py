"""What an error says about the transaction that it ended."""

from django.db import InterfaceError, OperationalError

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
