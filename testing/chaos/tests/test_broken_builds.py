"""Every broken build changes something that exists, and names an experiment that exists."""

import pkgutil

import pytest

from testing.chaos.broken_builds import BUILDS, Build
from testing.chaos.catalogue import EXPERIMENTS


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_broken_build_breaks_something(build: Build) -> None:
    assert build.changes or build.statement or build.careless_client
    for where, name, value in build.changes:
        assert getattr(pkgutil.resolve_name(where), name) is not value


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_an_experiment_is_made_for_each_broken_build(build: Build) -> None:
    assert build.caught_by in EXPERIMENTS
