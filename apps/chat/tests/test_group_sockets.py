"""Groups over real sockets of real servers: who belongs to one hears of it, in any process, and who
does not belong to it any more hears nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from apps.accounts.tests.people import Person
from apps.chat.events import CONVERSATION
from apps.chat.groups import group_delete, member_remove, members_add
from apps.chat.models import Conversation
from apps.chat.services import message_delete
from apps.chat.tests.factories import group_of, new_group_message
from apps.realtime.controls import Revoke, Subscribe, pack
from apps.realtime.database_notices import notify
from testing.frames import Frame
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

with_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
with_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no notices."
)


Start = Callable[..., ServerProcess]
# Several times as long as it takes; who would never hear of it waits for so long.
PATIENCE = 4


@pytest.fixture(scope="module")
def _started(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    with ExitStack() as running:

        @cache
        def start(**environment: str) -> ServerProcess:
            log = tmp_path_factory.mktemp("server") / "log"
            with django_db_blocker.unblock():
                return running.enter_context(ServerProcess(log, environment))

        yield start


@pytest.fixture
def start_once(transactional_db: Any, _started: Start) -> Iterator[Start]:
    """A function that returns the server process of these tests with such an environment. Its
    sockets are gone before tables are emptied."""
    used: list[ServerProcess] = []

    def start(**environment: str) -> ServerProcess:
        used.append(_started(**environment))
        return used[-1]

    yield start
    for server in used:
        until(partial(is_idle, server))


def is_idle(server: ServerProcess) -> bool:
    """Return whether the process has no sockets."""
    connections: int = server.call("GET", "/health").json()["websocket"]["connections"]
    return connections == 0


# The word of a change is lost to a process without Redis. What is told of by the log heals.
DEAF = {"PARLEY_TAMPER": "hurried", "REDIS_URL": ""}
BROKEN = {"PARLEY_TAMPER": "hurried,never-sweeps-access", "REDIS_URL": ""}
# What reaches this one, it was told.
OBEDIENT = {"PARLEY_TAMPER": "never-sweeps-access,never-heals"}


def add(group: Conversation, owner: Person, *people: Person) -> None:
    ids = [one.user.pk for one in people]
    members_add(owner.user, conversation_id=group.pk, user_ids=ids)


def remove(group: Conversation, owner: Person, member: Person) -> None:
    member_remove(owner.user, conversation_id=group.pk, user_id=member.user.pk)


def seqs(frames: list[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames if "seq" in frame]


def test_new_socket_is_subscribed_to_the_groups_of_its_user(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    crew, watch = group_of(alice.user, bob.user), group_of(bob.user, alice.user)
    others = group_of(alice.user, carol.user)
    with TestSocket(server.url, token=bob.access) as his:
        streams = his.expect("connected")["data"]["streams"]
        assert streams == {
            f"user.{bob.id}": 0,
            CONVERSATION.name(crew.pk): 1,
            CONVERSATION.name(watch.pk): 1,
        }
        new_group_message(others, alice.user, "Not for Bob")
        message = new_group_message(crew, alice.user)
        told = his.expect("chat_message")
        assert told["data"]["message"]["id"] == str(message.pk)
        assert (told["stream"], told["seq"]) == (CONVERSATION.name(crew.pk), 2)


def joining(start_once: Start, alice: Person, bob: Person, **environment: str) -> list[Frame]:
    """Add Bob to a group while he is connected to another process than does it, and return what he
    is told until the message after that."""
    server = start_once(**environment)
    group = group_of(alice.user)
    new_group_message(group, alice.user, "Before Bob")
    with TestSocket(server.url, token=bob.access) as his:
        his.expect("connected")
        add(group, alice, bob)
        new_group_message(group, alice.user, "After that")
        his.expect("chat_message", seconds=PATIENCE)
        frames = [frame for frame in his.settle() if frame["type"] != "heartbeat"]
        assert "Before Bob" not in str(frames)
        return frames


@with_redis
def test_new_member_is_subscribed_on_their_open_sockets(
    start_once: Start, alice: Person, bob: Person
) -> None:
    frames = joining(start_once, alice, bob, **OBEDIENT)
    subscribed, joined = (frame for frame in frames if frame["type"] != "connected")
    assert (subscribed["type"], subscribed["data"]["recovered"]) == ("subscribed", True)
    assert (joined["type"], joined["data"]["userIds"]) == ("members_joined", [bob.id])


def test_sweep_subscribes_a_new_member_when_the_control_message_is_lost(
    start_once: Start, alice: Person, bob: Person
) -> None:
    frames = joining(start_once, alice, bob, **DEAF)
    assert "members_joined" in {frame["type"] for frame in frames}


def test_build_without_the_sweep_does_not_subscribe_a_new_member(
    start_once: Start, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="No chat_message"):
        joining(start_once, alice, bob, **BROKEN)


def test_new_member_cannot_read_earlier_events(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    group = group_of(alice.user)
    new_group_message(group, alice.user, "Before Bob")
    add(group, alice, bob)
    new_group_message(group, alice.user, "After that")
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as his:
        his.expect("connected")
        for after in (0, 1):
            answer = his.ask("subscribe", {"stream": stream, "after": after})
            assert (answer["type"], answer["data"]["head"]) == ("reset", 4)
        answer = his.ask("subscribe", {"stream": stream, "after": 2})
        assert answer["data"]["recovered"] is True
        frames = his.settle()
        assert seqs(frames) == [3, 4]
        assert "Before Bob" not in str(frames)


def test_sweep_does_not_subscribe_a_member_who_unsubscribed(
    start_once: Start, alice: Person, bob: Person
) -> None:
    group = group_of(alice.user, bob.user)
    server = start_once(**DEAF)
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as his:
        his.ask("unsubscribe", {"stream": stream})
        for _ in range(2):
            assert stream not in his.expect("heartbeat")["data"]["streams"]
        new_group_message(group, alice.user)
        assert seqs(his.settle()) == []
        assert his.ask("subscribe", {"stream": stream, "after": 1})["type"] == "subscribed"
        his.expect("chat_message")


def removing(
    start_once: Start,
    alice: Person,
    bob: Person,
    carol: Person,
    **environment: str,
) -> list[Frame]:
    """Remove Bob from a group while he is connected to another process than does it, say something
    there a moment later, and return what his socket is told after the removal, once Carol's on the
    same process has been told what was said."""
    server = start_once(**environment)
    group = group_of(alice.user, bob.user, carol.user)
    with (
        TestSocket(server.url, token=bob.access) as his,
        TestSocket(server.url, token=carol.access) as hers,
    ):
        his.expect("connected")
        hers.expect("connected")
        remove(group, alice, bob)
        his.expect("unsubscribed", seconds=PATIENCE)
        his.settle()
        message = new_group_message(group, alice.user, "After Bob")
        assert hers.expect("chat_message")["data"]["message"]["id"] == str(message.pk)
        message_delete(alice.user, message_id=message.pk)
        hers.expect("chat_delete")
        refused = his.ask("subscribe", {"stream": CONVERSATION.name(group.pk), "after": 1})
        assert refused["data"]["code"] == "NOT_FOUND"
        return [frame for frame in his.settle() if "seq" in frame]


@with_redis
def test_removed_member_receives_nothing_more_on_an_open_socket(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    assert removing(start_once, alice, bob, carol, **OBEDIENT) == []


def test_sweep_unsubscribes_a_removed_member_when_the_control_message_is_lost(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    assert removing(start_once, alice, bob, carol, **DEAF) == []


def test_build_without_the_sweep_does_not_unsubscribe_a_removed_member(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="No unsubscribed"):
        removing(start_once, alice, bob, carol, **BROKEN)


@with_postgres
def test_control_messages_of_the_database_take_effect(
    start_once: Start, alice: Person, bob: Person
) -> None:
    server = start_once(**BROKEN)
    group = group_of(alice.user)
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as his:
        his.expect("connected")
        add(group, alice, bob)
        notify([{"frames": [], "controls": [pack(Subscribe(bob.user.pk, stream))]}])
        his.expect("members_joined")
        remove(group, alice, bob)
        notify([{"frames": [], "controls": [pack(Revoke(bob.user.pk, stream))]}])
        his.expect("unsubscribed")


def test_deleted_group_is_unsubscribed_on_every_socket(
    start_once: Start, alice: Person, bob: Person
) -> None:
    server = start_once(**DEAF)
    group = group_of(alice.user, bob.user)
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=bob.access) as his,
    ):
        for socket in (hers, his):
            socket.expect("connected")
        group_delete(alice.user, conversation_id=group.pk)
        for socket in (hers, his):
            socket.expect("unsubscribed")
