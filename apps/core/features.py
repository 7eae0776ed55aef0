"""What each app brings to the whole: declared in its `feature.py`, collected here.

Nothing outside of an app's folder names what is in it: this module has the routes, limits and
prunes of all apps.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

T = TypeVar("T")


@dataclass(frozen=True)
class Feature:
    """The declaration of one app, which its `feature.py` holds under the name FEATURE."""

    # Viewsets by the prefix of their routes below /api/v1.
    routes: Mapping[str, Any] = field(default_factory=dict)
    # How many times a minute a user, or the network of an anonymous user, may take the action of
    # that name.
    limits: Mapping[str, int] = field(default_factory=dict)
    # Functions that delete expired rows, by what they delete; each returns how many it deleted.
    prunes: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    # What a server does before its first request, in this order.
    at_start: Sequence[Callable[[], Awaitable[object]]] = ()
    # What a server does before it ends, when it serves no request any more.
    at_stop: Sequence[Callable[[], None]] = ()
    # The choices of model fields by the names that they have in openapi.yaml.
    enums: Mapping[str, Any] = field(default_factory=dict)
    # Fills an empty installation with examples and returns a text that describes them.
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


@cache
def limits() -> Mapping[str, int]:
    """Return how many times a minute each limited action is allowed."""
    return _merged("limits", lambda feature: feature.limits)


def prunes() -> Mapping[str, Callable[[], int]]:
    """Return the prunes of all apps by what they delete."""
    return _merged("prunes", lambda feature: feature.prunes)


def enums() -> Mapping[str, Any]:
    """Return the choices of all apps by their names in openapi.yaml."""
    return _merged("enums", lambda feature: feature.enums)


def _merged(kind: str, of: Callable[[Feature], Mapping[str, T]]) -> Mapping[str, T]:
    """Return the entries of all features; raise ImproperlyConfigured for a name that two have."""
    merged: dict[str, T] = {}
    for label, feature in features().items():
        for name, value in of(feature).items():
            if name in merged:
                raise ImproperlyConfigured(f"{label} declares {kind} of the taken name {name!r}.")
            merged[name] = value
    return merged
