"""docker-compose.yml, Procfile and Dockerfile match the project and each other."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from dotenv import dotenv_values

from apps.core.tests.test_settings import EXPLAINED
from config.tests.pages import section

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
SETTINGS = {name for name, _ in EXPLAINED}
# The requirements for development bring it for the usual machines.
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
DOCKER_COMPOSE = shutil.which("docker-compose", path=PROGRAMS)


def test_compose_has_both_backends_and_every_process_of_the_procfile() -> None:
    assert set(SERVICES) - set(OURS) == {"postgres", "redis", "proxy", "tls"}
    assert set(OURS) == {"secrets", "migrate", "web", "worker"}
    assert OURS["migrate"]["command"] == PROCFILE["release"]
    assert OURS["web"]["command"] == PROCFILE["web"]
    assert OURS["worker"]["command"] == PROCFILE["worker"]


@pytest.mark.parametrize("line", PROCFILE.values())
def test_a_process_is_a_management_command_that_takes_its_arguments(line: str) -> None:
    python, manage, name, *arguments = shlex.split(line)
    assert (python, manage) == ("python", "manage.py")
    command = load_command_class(get_commands()[name], name)
    command.create_parser(manage, name).parse_args(arguments)


def test_the_image_alone_serves_and_does_the_jobs_and_applies_no_migrations() -> None:
    default = re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    assert default
    assert [*json.loads(default[1]), "--without-jobs"] == shlex.split(PROCFILE["web"])
    assert "migrate" not in default[1]
    assert "ENTRYPOINT" not in DOCKERFILE


def test_the_image_is_not_root_and_says_whether_it_is_ready() -> None:
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    assert f"--uid {user[1]} " in DOCKERFILE
    check = re.search(r"^HEALTHCHECK .* CMD (.+)$", DOCKERFILE, re.MULTILINE)
    assert check
    program = json.loads(check[1])[-1]
    assert "/ready" in program
    compile(program, "HEALTHCHECK", "exec")


@pytest.mark.parametrize("name", OURS)
def test_our_services_write_to_their_volume_and_to_tmp_only(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == "/tmp"  # noqa: S108
    assert service["cap_drop"] == ["ALL"]
    assert "user" not in service
    volumes = (
        {"secrets:/secrets"} if name == "secrets" else {"data:/app/var", "secrets:/secrets:ro"}
    )
    assert set(service["volumes"]) == volumes


def test_every_variable_is_one_that_the_example_explains() -> None:
    given = {name for service in OURS.values() for name in service["environment"]}
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert {name.removesuffix("_FILE") for name in given | asked} <= SETTINGS


def fixed() -> dict[str, str]:
    """Return what compose sets itself, whatever .env says."""
    environment: dict[str, Any] = OURS["web"]["environment"]
    return {
        name: str(value)
        for name, value in environment.items()
        if not str(value).startswith("${") and not name.endswith("_FILE")
    }


def test_the_document_says_what_compose_sets_itself() -> None:
    rows = re.findall(
        r"^\| (`.+`) \| (.*) \|$", section("settings.md", "In containers"), re.MULTILINE
    )
    documented = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert documented == set(fixed())


@pytest.mark.skipif(DOCKER_COMPOSE is None, reason="docker-compose is not installed")
def test_every_other_setting_of_env_reaches_our_services_as_parley_reads_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    given = 'p@s:w/o#r?d%41 ${HOME} $HOME "q" \\ `x`'
    (tmp_path / ".env").write_text("\n".join(f"{name}='{given}'" for name in sorted(SETTINGS)))
    assert {*dotenv_values(tmp_path / ".env", interpolate=False).values()} == {given}
    services = composed(tmp_path)
    for name in OURS:
        for setting in SETTINGS - set(fixed()):
            # Compose writes a $ twice, so that its output can be its input.
            assert services[name]["environment"][setting].replace("$$", "$") == given
    assert services["tls"]["environment"]["PARLEY_SITE"].replace("$$", "$") == given


def composed(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the services as docker compose understands them."""
    others = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    # These two are an address of this machine.
    address = {"SERVER_HOST": "127.0.0.1", "SERVER_PORT": "8080"}
    shown = subprocess.run(
        [str(DOCKER_COMPOSE), "--profile", "tls", "config", "--format", "json"],
        cwd=folder,
        env={**others, **address},
        capture_output=True,
        text=True,
        check=True,
    )
    services: dict[str, dict[str, Any]] = json.loads(shown.stdout)["services"]
    return services


def test_compose_makes_every_secret_that_our_services_read() -> None:
    program, folder, *names = shlex.split(OURS["secrets"]["command"])[2:]
    assert program == "config.secrets"
    for name in ("migrate", "web", "worker"):
        files = {k: v for k, v in OURS[name]["environment"].items() if k.endswith("_FILE")}
        assert files == {f"{each}_FILE": f"{folder}/{each}" for each in names}
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == f"{folder}/DB_PASSWORD"
    assert f"cat {folder}/REDIS_PASSWORD" in SERVICES["redis"]["command"][-1]
    for name in ("postgres", "redis"):
        made = {"secrets": {"condition": "service_completed_successfully"}}
        assert SERVICES[name]["depends_on"] == made
        assert f"secrets:{folder}:ro" in SERVICES[name]["volumes"]


def test_any_number_of_servers_is_behind_one_port_of_this_machine() -> None:
    public = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert public == {
        "proxy": ["${SERVER_HOST:-127.0.0.1}:${SERVER_PORT:-8080}:8080"],
        "tls": ["80:80", "443:443"],
    }
    assert SERVICES["tls"]["profiles"] == ["tls"]
    port = OURS["web"]["environment"]["SERVER_PORT"]
    for name in public:
        upstreams = SERVICES[name]["environment"]["PARLEY_UPSTREAMS"]
        assert upstreams.startswith(f"dynamic a web {port} ")
        assert "./deploy/Caddyfile:/etc/caddy/Caddyfile:ro" in SERVICES[name]["volumes"]
    assert "container_name" not in OURS["web"]


def test_a_server_has_time_to_stop_before_it_is_killed() -> None:
    grace = int(OURS["web"]["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * settings.SERVER_SHUTDOWN_TIMEOUT + 5


@pytest.mark.parametrize(("variable", "service"), [("DB", "postgres"), ("REDIS", "redis")])
def test_our_processes_find_the_backends_and_wait_for_them(variable: str, service: str) -> None:
    for name in ("migrate", "web", "worker"):
        assert OURS[name]["environment"][f"{variable}_HOST"] == service
        assert OURS[name]["depends_on"][service] == {"condition": "service_healthy"}
    assert SERVICES[service]["healthcheck"]["test"]


@pytest.mark.parametrize(("name", "service"), [("PostgreSQL", "postgres"), ("Redis", "redis")])
def test_the_readme_names_the_major_versions_of_the_images(name: str, service: str) -> None:
    image, major = SERVICES[service]["image"].split(":")
    assert image == service
    assert f"{name} {major}" in (ROOT / "README.md").read_text()


def test_redis_refuses_writes_instead_of_evicting_limits() -> None:
    assert "--maxmemory-policy noeviction" in SERVICES["redis"]["command"][-1]
