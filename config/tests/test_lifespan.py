"""A server runs its steps before its first request, or it ends and reports the reason."""

import asyncio
from typing import Any

import pytest

from config.lifespan import Lifespan
from testing.server import database_url, free_port, run_python

# manage.py serve, with a first step that fails.
CANNOT_START = """
import sys
from django.core.management import execute_from_command_line
from config.health_checks import HealthChecks

async def fails(self):
    raise OSError("the disk is on fire")

HealthChecks.start = fails
execute_from_command_line(["manage.py", "serve", "--port", sys.argv[1]])
"""
# manage.py serve, with a mistake in it.
FAILS = """
import sys
import uvicorn
from django.core.management import execute_from_command_line

async def fails(self, sockets):
    raise OSError("the disk is on fire")

uvicorn.Server.serve = fails
execute_from_command_line(["manage.py", "serve", "--port", sys.argv[1]])
"""
START, END = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


def live(lifespan: Lifespan) -> list[str]:
    """Return the messages that the server gets from its start to its end."""
    messages, messages_sent = [START, END], []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        messages_sent.append(message["type"])

    asyncio.run(lifespan({"type": "lifespan"}, receive, send))
    return messages_sent


def test_the_steps_run_in_their_order() -> None:
    taken = []

    async def first() -> None:
        taken.append("first")

    async def second() -> None:
        taken.append("second")

    messages_sent = live(Lifespan([first, second]))
    assert taken == ["first", "second"]
    assert messages_sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_after_a_failed_step_no_other_runs_and_the_reason_is_known() -> None:
    taken = []

    async def fails() -> None:
        raise OSError("the disk is on fire")

    async def second() -> None:
        taken.append("second")

    lifespan = Lifespan([fails, second])
    assert live(lifespan) == ["lifespan.startup.failed"]
    assert taken == []
    assert lifespan.failure == "The server could not start: OSError: the disk is on fire"


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_that_cannot_start_ends_with_one_sentence() -> None:
    ended = run_python("-c", CANNOT_START, str(free_port()), DATABASE_URL=database_url())
    assert ended.returncode == 1
    assert ended.stderr == "The server could not start: OSError: the disk is on fire\n"
    assert "Traceback" not in ended.stdout


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_that_fails_ends_with_one_sentence_and_logs_the_rest() -> None:
    ended = run_python("-c", FAILS, str(free_port()), DATABASE_URL=database_url())
    assert ended.returncode == 1
    assert ended.stderr == "The server failed: OSError: the disk is on fire\n"
    assert "Traceback" in ended.stdout
