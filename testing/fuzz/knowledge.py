"""What random input cannot find out: each app declares it for its operations in `tests/fuzz.py`."""

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
    """The declaration of one app, under the name KNOWLEDGE."""

    # By operation: the parameters that sometimes get real values, and the kinds of those values.
    real: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Creates things and returns the real values by kind.
    past: Callable[[People], Mapping[str, Sequence[str | int]]] = lambda people: {}
    # Reasons to refuse a request that is valid by its schema.
    reasons: Collection[str] = ()
    # Operations that end, delete or use up their object.
    single_use: Collection[str] = ()
    # By operation: creates the object of its path and returns the id, given the caller and another
    # user.
    things: Mapping[str, Callable[[Person, Person], str]] = field(default_factory=dict)
    # By operation, or by field: returns the value of a field of the body, given the same two.
    values: Mapping[str, Callable[[Person, Person], Any]] = field(default_factory=dict)


@cache
def known() -> Sequence[Knowledge]:
    """Return the declarations of all apps."""
    return [
        import_module(f"{config.name}.tests.fuzz").KNOWLEDGE
        for config in apps.get_app_configs()
        if module_has_submodule(config.module, "tests")
        and module_has_submodule(import_module(f"{config.name}.tests"), "fuzz")
    ]


@cache
def real_values(people: People) -> Mapping[str, Sequence[str | int]]:
    """Create the things of all apps, once, and return the real values by kind."""
    return dict(_items([one.past(people) for one in known()]))


def of_all(name: str) -> Any:
    """Return the parts of that name of all apps, merged into one mapping or set."""
    parts = [getattr(one, name) for one in known()]
    if all(isinstance(part, Mapping) for part in parts):
        return dict(_items(parts))
    return set(chain.from_iterable(parts))


def _items(parts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    return chain.from_iterable(part.items() for part in parts)
