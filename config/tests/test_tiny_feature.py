"""A new feature is one folder: a server with the folder in INSTALLED_APPS serves all of it.

The feature is in tiny_feature/polls. It has a model with its migration, endpoints, a limit, an
event and a signal on a stream of its own, and a prune.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from testing import frames
from testing.server import ServerProcess, database_url, run_python
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

SOURCE = Path(__file__).with_name("tiny_feature")
PREPARE = """
import sys
from pathlib import Path
import django
from django.core.management import call_command

django.setup()
folder = Path(sys.argv[1])
call_command("check", fail_level="WARNING")
call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
call_command("migrate", "polls", verbosity=0)
call_command("asyncapi", file=folder / "asyncapi.yaml", types=folder / "frames.d.ts")
call_command("spectacular", file=str(folder / "openapi.yaml"), fail_on_warn=True)
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of processes that have the feature, on a database with its table."""
    # In a folder outside of the project no file of the project can name it.
    shutil.copytree(SOURCE, tmp_path, dirs_exist_ok=True)
    with_polls = {
        "PYTHONPATH": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "settings_with_polls",
        "DATABASE_URL": database_url(),
    }
    monkeypatch.setattr(frames, "DOCUMENT", tmp_path / "asyncapi.yaml")
    try:
        _succeed(run_python("-c", PREPARE, str(tmp_path), **with_polls))
        yield with_polls
    finally:
        # The other tests use the same database.
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS polls_poll")
            cursor.execute("DELETE FROM django_migrations WHERE app = 'polls'")
        ContentType.objects.filter(app_label="polls").delete()


def _succeed(ended: Any) -> str:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return str(ended.stdout)


class Caller:
    """A user of a server."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self._server = server
        body = {"name": name, "email": f"{name}@example.com", "password": "correct horse 9"}
        self.token = server.call("POST", "/api/v1/auth/register", json=body).json()["data"][
            "accessToken"
        ]

    def post(self, path: str, **body: Any) -> Any:
        """Return the response to a POST below /api/v1."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._server.call("POST", f"/api/v1{path}", json=body, headers=headers)


def test_a_feature_in_one_folder_works_over_http_and_websocket(
    environment: dict[str, str], start_server: Callable[..., ServerProcess]
) -> None:
    server = start_server(**environment)
    alice, bob = Caller(server, "alice"), Caller(server, "bob")
    with TestSocket(server.url, token=bob.token) as socket:
        socket.expect("connected")
        assert socket.ask("subscribe", {"stream": "polls"})["type"] == "subscribed"

        opened = alice.post("/polls", question="Shall we sail at dawn?", minutes=60)
        assert opened.status_code == 201, opened.text
        poll = opened.json()["data"]
        event = socket.expect("poll_opened")
        assert (event["stream"], event["seq"]) == ("polls", 1)
        assert event["data"] == {"pollId": poll["id"], "question": "Shall we sail at dawn?"}

        vote = f"/polls/{poll['id']}/vote"
        assert alice.post(vote).status_code == 403
        assert bob.post(vote).json()["data"]["votes"] == 1
        assert socket.expect("poll_votes")["data"] == {"pollId": poll["id"], "votes": 1}

        closed = alice.post("/polls", question="Shall we sail now?", minutes=0).json()["data"]
        refused = alice.post("/polls", question="Shall we stay?", minutes=60)
        assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert socket.expect("poll_opened")["data"]["pollId"] == closed["id"]
        assert socket.settle() == []
    assert "poll_opened" in server.call("GET", "/docs/realtime").text

    # The event is logged: a subscriber that comes later gets it.
    with TestSocket(server.url, token=alice.token) as socket:
        socket.send("subscribe", {"stream": "polls", "after": 0})
        logged = [socket.expect("poll_opened")["data"]["pollId"] for _ in range(2)]
        assert logged == [poll["id"], closed["id"]]

    assert "1 closed polls deleted" in _succeed(run_python("manage.py", "prune", **environment))
    assert bob.post(f"/polls/{closed['id']}/vote").status_code == 404
    assert bob.post(vote).json()["data"]["votes"] == 2
