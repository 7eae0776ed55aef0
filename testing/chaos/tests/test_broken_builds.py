"""Every broken build changes something that exists, and names an experiment that exists."""

import pkgutil
from typing import Any

import pytest

from testing.chaos.broken_builds import BUILDS, Build
from testing.chaos.catalogue import EXPERIMENTS
from testing.chaos.usual_changes import ALWAYS, SHORT_TIMES


def require_change(where: str, name: str, value: Any) -> None:
    assert getattr(pkgutil.resolve_name(where), name) is not value


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_broken_build_breaks_something(build: Build) -> None:
    assert build.changes or build.statement or build.careless_client
    for change in build.changes:
        require_change(*change)


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_an_experiment_is_made_for_each_broken_build(build: Build) -> None:
    assert build.caught_by in EXPERIMENTS


@pytest.mark.parametrize("change", [*ALWAYS, *SHORT_TIMES], ids=lambda change: change[1])
def test_what_every_build_changes_is_there(change: tuple[str, str, Any]) -> None:
    require_change(*change)
