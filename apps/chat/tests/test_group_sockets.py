"""Groups over real sockets of real servers: members receive the events of a group in every process,
and former members receive nothing."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connection

from apps.accounts.tests.people import Person
from apps.chat.events import CONVERSATION
from apps.chat.groups import (
    group_delete,
    group_rename,
    member_remove,
    member_set_role,
    members_add,
)
from apps.chat.models import Conversation
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import group_of, new_group_message
from apps.realtime.controls import Revoke, Subscribe, pack
from apps.realtime.database_notices import notify
from testing.frames import Frame
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

with_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
with_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no notices."
)


Start = Callable[..., ServerProcess]
# Seconds, several times as long as it takes. A test of a faulty build waits for all of them.
PATIENCE = 4


# A process without Redis receives no control messages of other processes. Its sweeps and the log
# make up for that.
ISOLATED = {"PARLEY_TAMPER": "hurried", "REDIS_URL": ""}
ISOLATED_WITHOUT_SWEEP = {"PARLEY_TAMPER": "hurried,never-sweeps-access", "REDIS_URL": ""}
# This process does not repair itself: what reaches its sockets came by control messages.
CONTROLLED = {"PARLEY_TAMPER": "never-sweeps-access,never-heals"}


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
    with TestSocket(server.url, token=bob.access) as bob_socket:
        streams = bob_socket.expect("connected")["data"]["streams"]
        assert streams == {
            f"user.{bob.id}": 0,
            CONVERSATION.name(crew.pk): 1,
            CONVERSATION.name(watch.pk): 1,
        }
        new_group_message(others, alice.user, "Not for Bob")
        message = new_group_message(crew, alice.user)
        event = bob_socket.expect("chat_message")
        assert event["data"]["message"]["id"] == str(message.pk)
        assert (event["stream"], event["seq"]) == (CONVERSATION.name(crew.pk), 2)


def joining(start_once: Start, alice: Person, bob: Person, **environment: str) -> list[Frame]:
    """Add Bob to a group while Bob is connected to another process, and return the frames of Bob's
    socket up to the message after that."""
    server = start_once(**environment)
    group = group_of(alice.user)
    new_group_message(group, alice.user, "Before Bob")
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        add(group, alice, bob)
        new_group_message(group, alice.user, "After that")
        bob_socket.expect("chat_message", seconds=PATIENCE)
        frames = [frame for frame in bob_socket.settle() if frame["type"] != "heartbeat"]
        assert "Before Bob" not in str(frames)
        return frames


@with_redis
def test_new_member_is_subscribed_on_their_open_sockets(
    start_once: Start, alice: Person, bob: Person
) -> None:
    frames = joining(start_once, alice, bob, **CONTROLLED)
    subscribed, joined = (frame for frame in frames if frame["type"] != "connected")
    assert (subscribed["type"], subscribed["data"]["recovered"]) == ("subscribed", True)
    assert (joined["type"], joined["data"]["userIds"]) == ("members_joined", [bob.id])


def test_sweep_subscribes_a_new_member_when_the_control_message_is_lost(
    start_once: Start, alice: Person, bob: Person
) -> None:
    frames = joining(start_once, alice, bob, **ISOLATED)
    assert "members_joined" in {frame["type"] for frame in frames}


def test_build_without_the_sweep_does_not_subscribe_a_new_member(
    start_once: Start, alice: Person, bob: Person
) -> None:
    """The test above detects a build without the sweep."""
    with pytest.raises(AssertionError, match="No chat_message"):
        joining(start_once, alice, bob, **ISOLATED_WITHOUT_SWEEP)


def test_new_member_cannot_read_earlier_events(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    group = group_of(alice.user)
    new_group_message(group, alice.user, "Before Bob")
    add(group, alice, bob)
    new_group_message(group, alice.user, "After that")
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        for after in (0, 1):
            response = bob_socket.ask("subscribe", {"stream": stream, "after": after})
            assert (response["type"], response["data"]["head"]) == ("reset", 4)
        response = bob_socket.ask("subscribe", {"stream": stream, "after": 2})
        assert response["data"]["recovered"] is True
        frames = bob_socket.settle()
        assert seqs(frames) == [3, 4]
        assert "Before Bob" not in str(frames)


def test_sweep_does_not_subscribe_a_member_who_unsubscribed(
    start_once: Start, alice: Person, bob: Person
) -> None:
    group = group_of(alice.user, bob.user)
    server = start_once(**ISOLATED)
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.ask("unsubscribe", {"stream": stream})
        for _ in range(2):
            assert stream not in bob_socket.expect("heartbeat")["data"]["streams"]
        new_group_message(group, alice.user)
        assert seqs(bob_socket.settle()) == []
        assert bob_socket.ask("subscribe", {"stream": stream, "after": 1})["type"] == "subscribed"
        bob_socket.expect("chat_message")


def removing(
    start_once: Start,
    alice: Person,
    bob: Person,
    carol: Person,
    **environment: str,
) -> list[Frame]:
    """Remove Bob from a group while Bob is connected to another process, and send a message to it.
    Return the events of Bob's socket after the removal, once Carol's socket in the same process has
    received the message."""
    server = start_once(**environment)
    group = group_of(alice.user, bob.user, carol.user)
    with (
        TestSocket(server.url, token=bob.access) as bob_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
    ):
        bob_socket.expect("connected")
        carol_socket.expect("connected")
        remove(group, alice, bob)
        bob_socket.expect("unsubscribed", seconds=PATIENCE)
        bob_socket.settle()
        message = new_group_message(group, alice.user, "After Bob")
        assert carol_socket.expect("chat_message")["data"]["message"]["id"] == str(message.pk)
        message_delete(alice.user, message_id=message.pk)
        carol_socket.expect("chat_delete")
        refused = bob_socket.ask("subscribe", {"stream": CONVERSATION.name(group.pk), "after": 1})
        assert refused["data"]["code"] == "NOT_FOUND"
        return [frame for frame in bob_socket.settle() if "seq" in frame]


@with_redis
def test_removed_member_receives_nothing_more_on_an_open_socket(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    assert removing(start_once, alice, bob, carol, **CONTROLLED) == []


def test_sweep_unsubscribes_a_removed_member_when_the_control_message_is_lost(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    assert removing(start_once, alice, bob, carol, **ISOLATED) == []


def test_build_without_the_sweep_does_not_unsubscribe_a_removed_member(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    """The test above detects a build without the sweep."""
    with pytest.raises(AssertionError, match="No unsubscribed"):
        removing(start_once, alice, bob, carol, **ISOLATED_WITHOUT_SWEEP)


@with_postgres
def test_control_messages_of_the_database_take_effect(
    start_once: Start, alice: Person, bob: Person
) -> None:
    server = start_once(**ISOLATED_WITHOUT_SWEEP)
    group = group_of(alice.user)
    stream = CONVERSATION.name(group.pk)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        add(group, alice, bob)
        notify([{"frames": [], "controls": [pack(Subscribe(bob.user.pk, stream))]}])
        bob_socket.expect("members_joined")
        remove(group, alice, bob)
        notify([{"frames": [], "controls": [pack(Revoke(bob.user.pk, stream))]}])
        bob_socket.expect("unsubscribed")


def test_member_receives_every_change_of_a_group(
    start_once: Start, alice: Person, bob: Person, carol: Person
) -> None:
    group = group_of(alice.user, bob.user)
    here = {"conversation_id": group.pk}
    server = start_once(**ISOLATED_WITHOUT_SWEEP)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        bob_socket.send("subscribe", {"stream": CONVERSATION.name(group.pk), "after": 0})
        assert bob_socket.expect("group_created")["data"]["memberIds"] == [bob.id]
        group_rename(alice.user, **here, title="Watch")
        assert bob_socket.expect("group_renamed")["data"]["title"] == "Watch"
        add(group, alice, carol)
        assert bob_socket.expect("members_joined")["data"]["userIds"] == [carol.id]
        member_set_role(alice.user, **here, user_id=carol.user.pk, role="admin")
        roles = [{"userId": carol.id, "role": "admin"}]
        assert bob_socket.expect("roles_changed")["data"]["roles"] == roles
        message = new_group_message(group, alice.user)
        messages_mark_delivered(carol.user.pk, message_ids=[message.pk])
        assert bob_socket.expect("group_delivered")["data"]["upTo"] == message.seq
        messages_mark_read(carol.user.pk, message_ids=[message.pk])
        assert bob_socket.expect("group_read")["data"]["userId"] == carol.id
        message_delete(alice.user, message_id=message.pk)
        assert bob_socket.expect("chat_delete")["data"]["messageId"] == str(message.pk)
        remove(group, alice, carol)
        assert bob_socket.expect("member_left")["data"]["userId"] == carol.id
        group_delete(alice.user, **here)
        assert bob_socket.expect("group_deleted")["data"]["by"] == alice.id


def test_deleted_group_is_unsubscribed_on_every_socket(
    start_once: Start, alice: Person, bob: Person
) -> None:
    server = start_once(**ISOLATED)
    group = group_of(alice.user, bob.user)
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        for socket in (alice_socket, bob_socket):
            socket.expect("connected")
        group_delete(alice.user, conversation_id=group.pk)
        for socket in (alice_socket, bob_socket):
            socket.expect("unsubscribed")
