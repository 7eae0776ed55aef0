"""A server takes its port, prepares its database and says so, or ends with one sentence."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config.listening import CannotListen, bind, bind_shared, listen
from testing.server import ServerProcess, free_port, run_python

Start = Callable[..., ServerProcess]
ANY = "Set SERVER_HOST to 0.0.0.0 for all addresses of this machine, or 127.0.0.1 for this"


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("no.such.invalid", f'No host has the name "no.such.invalid". {ANY}'),
        ("of..nobody", f'No host has the name "of..nobody". {ANY}'),
        # Of those that only documents use (RFC 5737).
        ("192.0.2.1", f"192.0.2.1 is not an address of this machine. {ANY}"),
    ],
)
def test_a_wrong_host_is_named(host: str, sentence: str) -> None:
    with pytest.raises(CannotListen) as refusal:
        bind(host, 0)
    assert str(refusal.value).startswith(sentence)
    with pytest.raises(CannotListen) as refusal:
        bind_shared(host, 0, 2)
    assert str(refusal.value).startswith(sentence)


def test_a_port_that_another_program_takes_meanwhile_is_named() -> None:
    """Two programs may bind a port as long as none listens."""
    port = free_port()
    first, second = bind("127.0.0.1", port), bind("127.0.0.1", port)
    listen("127.0.0.1", port, first)
    with pytest.raises(CannotListen, match=f"Another program serves on port {port}. Set SERVER_P"):
        listen("127.0.0.1", port, second)
    for listener in (*first, *second):
        listener.close()


def test_a_name_with_several_addresses_is_served_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"127.0.0.{number}", 0)) for number in (1, 2)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    listeners = bind("localhost", 0)
    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1", "127.0.0.2"]
    for listener in listeners:
        listener.close()


def test_only_runserver_loads_daphne() -> None:
    """Its server costs each process a fifth of a second and 14 MB."""
    loaded = "import django, sys; django.setup(); sys.exit('daphne.server' in sys.modules)"
    assert run_python("-c", loaded).returncode == 0
    assert get_commands()["runserver"] == "daphne"


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
class TestServe:
    def test_a_server_whose_port_is_in_use_says_nothing_else(self, server: ServerProcess) -> None:
        ended = run_python("manage.py", "serve", "--port", str(server.port))
        sentence = f"Another program serves on port {server.port}. Set SERVER_PORT to a free one.\n"
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.endswith(sentence)

    def test_a_server_refuses_a_database_without_its_tables_until_it_may_migrate(
        self, empty_database: str, tmp_path: Path
    ) -> None:
        port = str(free_port())
        ended = run_python("manage.py", "serve", "--port", port, DATABASE_URL=empty_database)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "The database lacks migrations of this release: " in ended.stderr
        assert ended.stderr.endswith("python manage.py migrate, or serve with --migrate.\n")
        given = {"DATABASE_URL": empty_database}
        with ServerProcess(tmp_path / "log", given, arguments=["--migrate"]) as server:
            assert server.call("GET", "/ready").status_code == 200

    def test_a_server_of_an_older_release_starts_on_the_tables_of_a_newer_one(
        self, start_server: Start
    ) -> None:
        recorder = MigrationRecorder(connection)
        recorder.record_applied("posts", "9999_of_the_next_release")
        try:
            assert start_server().call("GET", "/ready").status_code == 200
        finally:
            recorder.record_unapplied("posts", "9999_of_the_next_release")

    def test_a_server_says_where_it_is_and_that_redis_is_away(self, start_server: Start) -> None:
        server = start_server(REDIS_URL="redis://:topsecret@127.0.0.1:1")
        said = server.log.read_text()
        assert f"Parley {settings.APP_VERSION} on http://127.0.0.1:{server.port}\n" in said
        assert "  redis  Redis does not answer: " in said
        assert "topsecret" not in said
