"""Processes of two releases serve from one database while the newer one migrates it.

The next release is this one and the migrations in next_release, and the breaking one does at once
what takes two releases.
"""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.migrations.loader import MigrationLoader

from testing.server import ServerProcess, empty_database, run_python, until

SOURCE = Path(__file__).with_name("next_release")


class Client:
    """A user who writes and reads posts until the end of the block, and notes what fails."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self._server = server
        body = {"name": name, "email": f"{name}@example.com", "password": "correct horse 9"}
        registered = server.call("POST", "/api/v1/auth/register", json=body).json()
        self._headers = {"Authorization": f"Bearer {registered['data']['accessToken']}"}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.served = 0
        self.failed: list[str] = []

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def goes_on(self) -> None:
        """Return after a few more requests."""
        before = self.served
        until(lambda: self.served > before + 6)

    def _work(self) -> None:
        while not self._ended.is_set():
            post = {"title": "Ahoy", "content": "Ahoy there", "status": "published"}
            written = self._call("POST", "/api/v1/posts", json=post)
            if written:
                self._call("GET", f"/api/v1/posts/{written['data']['id']}")
            self._call("GET", "/api/v1/posts")

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._server.call(method, path, headers=self._headers, **options)
        self.served += 1
        if answer.is_success:
            return answer.json()
        self.failed.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return None


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_no_request_fails_while_the_next_release_migrates_and_starts(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    # In a folder outside of the project no file of the project can name it.
    shutil.copytree(SOURCE, tmp_path, dirs_exist_ok=True)
    next_release, breaking_release = (
        {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": f"settings_of_{name}"}
        for name in ("next_release", "breaking_release")
    )

    def migrate(**environment: str) -> None:
        done = run_python("manage.py", "migrate", "--verbosity", "0", **environment)
        assert done.returncode == 0, done.stderr

    with empty_database(tmp_path) as url:
        here = {"DATABASE_URL": url}
        migrate(**here)
        old = start_server(**here)
        with Client(old, "alice") as alice:
            alice.goes_on()
            migrate(**here, **next_release)
            alice.goes_on()
            new = start_server(**here, **next_release)
            with Client(new, "bob") as bob:
                alice.goes_on()
                bob.goes_on()
            assert (alice.failed, bob.failed) == ([], [])

            # A migration against the rule is noticed.
            migrate(**here, **breaking_release)
            until(lambda: alice.failed)
        new.stop()
        old.stop()


def test_every_migration_can_run_in_one_transaction_with_the_others() -> None:
    """As a restore runs them."""
    migrations = MigrationLoader(None).disk_migrations.values()
    assert [str(migration) for migration in migrations if not migration.atomic] == []
