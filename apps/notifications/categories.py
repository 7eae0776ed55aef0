"""The categories of notifications. Each feature names its own in its `feature.py`, with a sentence
that says what is told: `notification_categories={"posts": "Posts of users whom one follows"}`."""

from collections.abc import Mapping

from apps.core.features import notification_categories


def categories() -> Mapping[str, str]:
    """Return the sentences of all features by the names of the categories."""
    return notification_categories()


def require_category(name: str) -> None:
    """Raise LookupError unless a feature names the category."""
    if name not in categories():
        raise LookupError(f"No feature.py names the category of notifications {name!r}.")
