"""What a server says at its start while nobody may administer it."""

from apps.accounts.selectors import has_administrator


def first_administrator() -> str:
    """Return how to make the first administrator, or an empty string if there is one."""
    if has_administrator():
        return ""
    return (
        "There is no administrator yet. Make one with: make admin "
        "(or: python manage.py create_admin)"
    )
