"""A client that polls gets each event once, in order and without a hole, whatever is lost between
the processes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.realtime.tests.test_losing_nothing import contents, send
from apps.realtime.tests.waiting_polls import WaitingPoll, all_that_may_wait, seqs
from testing.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]
MESSAGES = 40


def poll_until(server: ServerProcess, reader: Person, head: int) -> list[dict[str, Any]]:
    """Poll again and again, after the last number each time, and return all events up to a head."""
    got: list[dict[str, Any]] = []
    while not got or got[-1]["seq"] < head:
        after = got[-1]["seq"] if got else 0
        with WaitingPoll(server, reader, after=after) as poll:
            data = poll.data()
        assert data["recovered"]
        assert not got or data["head"] >= after
        got += data["events"]
    return got


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(
            {},
            id="woken",
            marks=pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis here."),
        ),
        pytest.param({"PARLEY_TAMPER": "hurried", "REDIS_URL": ""}, id="wake-ups-lost"),
    ],
)
def test_bob_polls_while_alice_sends_on_another_process(
    start_server: Start, alice: Person, bob: Person, environment: dict[str, str]
) -> None:
    one, other = start_server(**environment), start_server(**environment)
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll_until, other, bob, MESSAGES)
        for number in range(MESSAGES):
            send(one, alice, bob, str(number))
        got = polling.result()
    assert [event["seq"] for event in got] == list(range(1, MESSAGES + 1))
    assert contents(got) == [str(number) for number in range(MESSAGES)]


def test_a_process_that_does_not_compare_heads_lets_it_wait(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    one = start_server(REDIS_URL="")
    other = start_server(PARLEY_TAMPER="hurried,never-heals", REDIS_URL="")
    with all_that_may_wait(other, bob, wait=2) as polls:
        send(one, alice, bob, "Hello")
        assert [seqs(poll.data()) for poll in polls] == [[]] * len(polls)
