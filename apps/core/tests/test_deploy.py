"""The examples in deploy/ match the settings and the limits of the server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn
from django.conf import settings
from dotenv import dotenv_values

from apps.core.http.connections import MOST_FILES
from apps.core.tests.test_compose import PROCFILE, SETTINGS
from apps.realtime.transport import GONE_AFTER_SECONDS, UVICORN

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
CADDY = (DEPLOY / "Caddyfile").read_text()
NGINX = (DEPLOY / "nginx.conf").read_text()
SERVER = (DEPLOY / "parley@.service").read_text()
WORKER = (DEPLOY / "parley-worker.service").read_text()
PRODUCTION = {
    name: str(value)
    for name, value in dotenv_values(DEPLOY / "production.env", interpolate=False).items()
}


def number(pattern: str, text: str) -> int:
    """Return the number that the pattern's group finds in the text."""
    found = re.search(pattern, text, re.MULTILINE)
    assert found, pattern
    return int(found[1])


def test_a_proxy_leaves_an_idle_connection_before_the_server_closes_it() -> None:
    closed_after = uvicorn.Config("app", **UVICORN).timeout_keep_alive
    assert number(r"^\t+keepalive (\d+)s$", CADDY) < closed_after
    assert number(r"^    keepalive_timeout (\d+)s;$", NGINX) < closed_after


def test_a_proxy_leaves_it_to_the_server_to_refuse_a_large_body() -> None:
    assert number(r"max_size (\d+)MB$", CADDY) * 1000**2 > settings.BODY_LIMIT
    assert number(r"client_max_body_size (\d+)m;$", NGINX) * 1024**2 > settings.BODY_LIMIT
    assert number(r"client_body_timeout +(\d+)s;", NGINX) <= settings.SERVER_READ_TIMEOUT


def test_nginx_waits_longer_than_the_server_for_an_answer_and_for_a_silent_client() -> None:
    answer = settings.THREAD_WAIT + settings.DB_LOCK_TIMEOUT + settings.DB_STATEMENT_TIMEOUT
    assert number(r"proxy_read_timeout +(\d+)s;", NGINX) > max(answer, GONE_AFTER_SECONDS)


def test_nginx_passes_on_who_calls_how_and_that_it_wants_a_websocket() -> None:
    passed = dict(re.findall(r"proxy_set_header (\S+) +(\S+);", NGINX))
    assert passed == {
        "Host": "$http_host",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "Upgrade": "$http_upgrade",
        "Connection": "$parley_connection",
    }
    assert "proxy_http_version 1.1;" in NGINX


def test_nginx_limits_the_connections_of_a_client_as_the_server_would() -> None:
    assert number(r"limit_conn parley_clients (\d+);", NGINX) == (
        settings.SERVER_CONNECTIONS_PER_ADDRESS
    )


def test_both_proxies_know_the_same_servers_and_the_host_of_the_example() -> None:
    servers = re.findall(r"127\.0\.0\.1:\d+", CADDY)
    assert servers
    assert re.findall(r"^    server (\S+) ", NGINX, re.MULTILINE) == servers
    host = PRODUCTION["APP_ALLOWED_HOSTS"]
    assert f"{{$PARLEY_SITE:{host}}}" in CADDY
    assert set(re.findall(r"server_name (\S+);", NGINX)) == {host}


@pytest.mark.parametrize(("unit", "process"), [(SERVER, "web"), (WORKER, "worker")])
def test_a_unit_runs_a_process_of_the_procfile_and_lets_it_write_to_its_data_only(
    unit: str, process: str
) -> None:
    assert f"ExecStart=/usr/bin/env .venv/bin/{PROCFILE[process]}\n" in unit
    for line in ("User=parley", "ProtectSystem=strict", "StateDirectory=parley", "PrivateTmp=yes"):
        assert f"{line}\n" in unit


def test_systemd_lets_a_server_stop_its_own_processes_and_open_its_files() -> None:
    assert "KillMode=mixed\n" in SERVER
    assert number(r"^TimeoutStopSec=(\d+)$", SERVER) > 2 * settings.SERVER_SHUTDOWN_TIMEOUT + 5
    assert number(r"^LimitNOFILE=(\d+)$", SERVER) == MOST_FILES


@pytest.mark.integration
def test_the_settings_of_the_example_are_safe_in_production(tmp_path: Path) -> None:
    assert {name.removesuffix("_FILE") for name in PRODUCTION} <= SETTINGS
    secrets = {name: path for name, path in PRODUCTION.items() if name.endswith("_FILE")}
    comment = re.search(
        r"-m (config\.secrets) (\S+) (.+)$", (DEPLOY / "production.env").read_text(), re.MULTILINE
    )
    assert comment
    program, folder, names = comment.groups()
    assert {f"{folder}/{name}" for name in names.split()} == set(secrets.values())
    run(["-m", program, str(tmp_path), *names.split()], {})
    # Empty ones too, so that a developer's own .env does not count.
    given = {**dict.fromkeys(SETTINGS, ""), **PRODUCTION, "REDIS_HOST": ""}
    moved = {name: str(tmp_path / Path(path).name) for name, path in secrets.items()}
    told = run(["manage.py", "check", "--deploy"], {**given, **moved})
    # It misses Redis alone, which the machine of this test may lack.
    assert re.findall(r"\w+\.[EW]\d+", told) == ["parley.W010"], told


def run(arguments: list[str], environment: dict[str, str]) -> str:
    """Run Python with the arguments and with the settings of a server; return what it says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stderr
