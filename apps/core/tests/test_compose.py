"""docker-compose.yml, Procfile and Dockerfile match the project."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def test_compose_has_both_backends_and_every_process_of_the_procfile() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "worker"}
    assert OURS["migrate"]["command"] == PROCFILE["release"]
    assert OURS["web"]["command"] == PROCFILE["web"]
    assert OURS["worker"]["command"] == PROCFILE["worker"]


@pytest.mark.parametrize("line", PROCFILE.values())
def test_a_process_is_a_management_command_that_takes_its_arguments(line: str) -> None:
    python, manage, name, *arguments = shlex.split(line)
    assert (python, manage) == ("python", "manage.py")
    command = load_command_class(get_commands()[name], name)
    command.create_parser(manage, name).parse_args(arguments)


def test_the_image_serves_as_the_procfile_does() -> None:
    default = re.search(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert default
    assert json.loads(default[1]) == shlex.split(PROCFILE["web"])


def test_every_variable_is_one_that_the_example_explains() -> None:
    explained = names_in(r"^#? ?([A-Z][A-Z0-9_]+)=", ROOT / ".env.example")
    given = {name for service in OURS.values() for name in service["environment"]}
    asked = names_in(r"\$\{([A-Z0-9_]+)", ROOT / "docker-compose.yml")
    assert given | asked <= explained


def test_compose_requires_the_signing_secrets() -> None:
    environment = OURS["web"]["environment"]
    for name in ("APP_SECRET_KEY", "JWT_SECRET"):
        assert environment[name].startswith(f"${{{name}:?")


def test_a_server_has_time_to_stop_before_it_is_killed() -> None:
    grace = int(OURS["web"]["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * settings.SERVER_SHUTDOWN_TIMEOUT


@pytest.mark.parametrize(
    ("variable", "service"), [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")]
)
def test_our_processes_find_the_backends_and_wait_for_them(variable: str, service: str) -> None:
    for ours in OURS.values():
        assert re.search(rf"[/@]{service}:\d+", ours["environment"][variable])
        assert ours["depends_on"][service] == {"condition": "service_healthy"}
    assert SERVICES[service]["healthcheck"]["test"]


@pytest.mark.parametrize(("name", "service"), [("PostgreSQL", "postgres"), ("Redis", "redis")])
def test_the_readme_names_the_major_versions_of_the_images(name: str, service: str) -> None:
    image, major = SERVICES[service]["image"].split(":")
    assert image == service
    assert f"{name} {major}" in (ROOT / "README.md").read_text()


def test_redis_refuses_writes_instead_of_evicting_limits() -> None:
    assert "--maxmemory-policy noeviction" in SERVICES["redis"]["command"]


def names_in(pattern: str, path: Path) -> set[str]:
    """Return all matches of the pattern's group in the file."""
    return set(re.findall(pattern, path.read_text(), re.MULTILINE))
