"""Each app declares its routes, limits and prunes in its `feature.py`; this module collects them.

No code outside of an app's folder names what the app contains. Code that needs the routes, limits
or prunes of all apps gets them from this module.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.utils.module_loading import module_has_submodule

from apps.core.gather import InThread
from apps.core.metrics import StoredMetric

T = TypeVar("T")


class TokenUsers(Protocol):
    """Finds the users of access tokens on the event loop, where nothing may wait."""

    def known(self, token: str) -> UUID | None:
        """Return the id of the user of a token that was seen seconds ago, else None."""

    async def find(self, token: str) -> Any:
        """Return the user of a token, None if the view must say what is wrong with it."""


Export = Callable[[UUID], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class PersonalData:
    """What an app keeps of a user, for `manage.py export_user` and `erase_user`.

    `fields` are the foreign keys to a user, as `chat.Message.sender`; a test holds that every one
    is declared. `exports` return rows that the user may have, by the name of their file. `erase`
    gets the user's id and that of the user without data who takes their place in conversations. It
    works in transactions of bounded size, since a million rows may be theirs, and it can be called
    again after it was interrupted. It returns how many of what are erased.
    """

    fields: Collection[str]
    exports: Mapping[str, Export]
    erase: Callable[[UUID, UUID], Mapping[str, int]]


@dataclass(frozen=True)
class Purge:
    """What has been deleted for its users, and is still in its row.

    `found` returns the rows that were deleted before a time; `remove` takes such rows, does away
    with what they hold for good and returns how many there were.
    """

    found: Callable[[datetime], QuerySet[Any]]
    remove: Callable[[QuerySet[Any]], int]


@dataclass(frozen=True)
class Feature:
    """The declaration of one app, which its `feature.py` holds under the name FEATURE."""

    # Viewsets by the prefix of their routes below /api/v1.
    routes: Mapping[str, Any] = field(default_factory=dict)
    # Views of pages for people by their paths, such as account/verify. `hashes` of a view says
    # whether a POST to it hashes a password.
    pages: Mapping[str, Any] = field(default_factory=dict)
    # How many times a minute a user, or the network of an anonymous user, may do the named action.
    limits: Mapping[str, int] = field(default_factory=dict)
    # Functions that delete expired rows and return how many, by the name of what they delete.
    prunes: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    # What `manage.py purge` removes, by the name of what it is.
    purges: Mapping[str, Purge] = field(default_factory=dict)
    # Numbers for the operator by what they count, as one number or by kind.
    counts: Mapping[str, Callable[[], int | Mapping[str, int]]] = field(default_factory=dict)
    # Functions that are called in the transaction of a registration, with the new user.
    after_registration: Sequence[Callable[[Any], None]] = ()
    # Functions that are called in the transaction of a login, with the new session.
    after_login: Sequence[Callable[[Any], None]] = ()
    # Functions that are called in the transaction in which a user changes their password.
    after_password_change: Sequence[Callable[[Any], None]] = ()
    # Numbers of the database for GET /metrics.
    stored_metrics: Sequence[StoredMetric] = ()
    # What is done in each period, by its name (apps/jobs/schedules.py).
    schedules: Mapping[str, Any] = field(default_factory=dict)
    # What users are told about, by the names of the categories in their preferences.
    notification_categories: Mapping[str, str] = field(default_factory=dict)
    # What it keeps of a user.
    personal_data: PersonalData | None = None
    # What a server does before its first request, in this order.
    at_start: Sequence[Callable[[], Awaitable[object]]] = ()
    # Functions that a server calls after its last request, before it ends.
    at_stop: Sequence[Callable[[], None]] = ()
    # What is done to a database that was restored from a backup, in the transaction of the restore,
    # by what it does. Each function gets the time of the backup and returns how many.
    after_restore: Mapping[str, Callable[[datetime], int]] = field(default_factory=dict)
    # Makes what finds the users of access tokens, given what runs loads in a thread. One app has
    # it.
    token_users: Callable[[InThread[Any, Any]], TokenUsers] | None = None
    # The choices of model fields, by their names in openapi.yaml.
    enums: Mapping[str, Any] = field(default_factory=dict)
    # Returns what the operator should read when a server starts, or an empty string.
    start_notice: Callable[[], str] | None = None
    # Fills an empty installation with examples and returns a sentence about them.
    demo: Callable[[], str] | None = None


@cache
def features() -> Mapping[str, Feature]:
    """Return the declarations by the labels of their apps, in the order of INSTALLED_APPS."""
    return {
        config.label: import_module(f"{config.name}.feature").FEATURE
        for config in apps.get_app_configs()
        if module_has_submodule(config.module, "feature")
    }


def routes() -> Mapping[str, Any]:
    """Return the viewsets of all apps by their prefixes."""
    return _merged("routes", lambda feature: feature.routes)


def pages() -> Mapping[str, Any]:
    """Return the views of the pages of all apps by their paths."""
    return _merged("pages", lambda feature: feature.pages)


def after_registration(user: Any) -> None:
    """Do what the apps do when a user has registered, in the transaction of the registration."""
    for feature in features().values():
        for call in feature.after_registration:
            call(user)


def after_login(session: Any) -> None:
    """Do what the apps do when a session has begun, in the transaction of the login."""
    for feature in features().values():
        for call in feature.after_login:
            call(session)


def after_password_change(user: Any) -> None:
    """Do what the apps do when a user has changed their password, in the transaction of it."""
    for feature in features().values():
        for call in feature.after_password_change:
            call(user)


@cache
def limits() -> Mapping[str, int]:
    """Return how many times a minute each action is allowed."""
    return _merged("limits", lambda feature: feature.limits)


def token_users(in_thread: InThread[Any, Any]) -> TokenUsers:
    """Return what finds the users of access tokens; raise ImproperlyConfigured unless exactly one
    app has it."""
    made = [feature.token_users for feature in features().values() if feature.token_users]
    if len(made) != 1:
        raise ImproperlyConfigured(f"{len(made)} apps find the users of tokens.")
    return made[0](in_thread)


def prunes() -> Mapping[str, Callable[[], int]]:
    """Return the prunes of all apps by what they delete."""
    return _merged("prunes", lambda feature: feature.prunes)


def purges() -> Mapping[str, Purge]:
    """Return what all apps purge by the name of what it is."""
    return _merged("purges", lambda feature: feature.purges)


def counts() -> Mapping[str, Callable[[], int | Mapping[str, int]]]:
    """Return the numbers of all apps by what they count."""
    return _merged("counts", lambda feature: feature.counts)


def personal_data() -> Sequence[PersonalData]:
    """Return what all apps keep of a user, from the highest layer to the lowest: what a higher one
    does while it erases leaves events and keys in a lower one."""
    found = [feature.personal_data for feature in reversed(list(features().values()))]
    return [one for one in found if one is not None]


def after_restore() -> Mapping[str, Callable[[datetime], int]]:
    """Return what all apps do to a database that was restored, by what it does."""
    return _merged("after_restore", lambda feature: feature.after_restore)


def schedules() -> Mapping[str, Any]:
    """Return what all apps do in each period, by its name."""
    return _merged("schedules", lambda feature: feature.schedules)


def notification_categories() -> Mapping[str, str]:
    """Return what users are told about, by the names of the categories of all apps."""
    return _merged("categories of notifications", lambda one: one.notification_categories)


def enums() -> Mapping[str, Any]:
    """Return the choices of all apps by their names in openapi.yaml."""
    return _merged("enums", lambda feature: feature.enums)


def _merged(kind: str, of: Callable[[Feature], Mapping[str, T]]) -> Mapping[str, T]:
    """Return the entries of all features; raise ImproperlyConfigured if two have the same name."""
    merged: dict[str, T] = {}
    for label, feature in features().items():
        for name, value in of(feature).items():
            if name in merged:
                raise ImproperlyConfigured(f"{label} declares {kind} {name!r}, which is taken.")
            merged[name] = value
    return merged
