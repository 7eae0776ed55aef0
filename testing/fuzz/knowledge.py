"""What random input cannot find out: each app tells it of its own operations in `tests/fuzz.py`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from testing.fuzz.people import People, Person


@dataclass(frozen=True)
class Knowledge:
    """What one app tells, under the name KNOWLEDGE."""

    # By operation: which parameters get real values now and then, and of which kind.
    real: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Makes the real values by kind, so that something is found.
    past: Callable[[People], Mapping[str, Sequence[str | int]]] = lambda people: {}
    # Why a request may be refused that is all that its schema asks for.
    reasons: Collection[str] = ()
    # Operations that end, delete or use up what they are about.
    single_use: Collection[str] = ()
    # By operation: makes what its path is about, for the caller, and returns the id.
    things: Mapping[str, Callable[[Person, Person], str]] = field(default_factory=dict)
    # By operation, or by field: makes the value of a body's field, given the caller and another.
    values: Mapping[str, Callable[[Person, Person], Any]] = field(default_factory=dict)


@cache
def known() -> Sequence[Knowledge]:
    """Return what the apps tell."""
    return [
        import_module(f"{config.name}.tests.fuzz").KNOWLEDGE
        for config in apps.get_app_configs()
        if module_has_submodule(config.module, "tests")
        and module_has_submodule(import_module(f"{config.name}.tests"), "fuzz")
    ]


@cache
def real_values(people: People) -> Mapping[str, Sequence[str | int]]:
    """Make what all apps want to be found, once, and return the values by their kinds."""
    return dict(_items([one.past(people) for one in known()]))


def of_all(name: str) -> Any:
    """Return the parts of that name of all apps, put together: a mapping, or a set."""
    parts = [getattr(one, name) for one in known()]
    if all(isinstance(part, Mapping) for part in parts):
        return dict(_items(parts))
    return set(chain.from_iterable(parts))


def _items(parts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    return chain.from_iterable(part.items() for part in parts)
