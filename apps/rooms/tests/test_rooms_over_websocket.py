"""Rooms over real sockets of real servers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.events import CONVERSATION_ROOM
from apps.chat.groups import member_remove
from apps.chat.tests.factories import group_of
from apps.core.ids import uuid7
from apps.posts.tests.factories import draft_of, published_by
from testing.frames import Frame
from testing.server import ServerProcess, until
from testing.servers import PrivateRedis
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]

with_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
# Seconds, several times as long as it takes. A test of a faulty build waits for all of them.
PATIENCE = 4


@pytest.fixture
def room() -> str:
    """A room that no other test uses, since Redis is shared."""
    return f"room.{uuid7()}"


def join(socket: TestSocket, room: str) -> Any:
    """Enter a room and return the data of the answer."""
    answer = socket.ask("join_room", {"room": room})
    assert answer["type"] == "ack", answer
    return answer["data"]


def leave(socket: TestSocket, room: str) -> Any:
    """Leave a room and return the data of the answer."""
    answer = socket.ask("leave_room", {"room": room})
    assert answer["type"] == "ack", answer
    return answer["data"]


def names(data: Any) -> set[str]:
    return {one["name"] for one in data["members"]}


def told(frames: list[Frame]) -> list[tuple[str, str]]:
    """Return the types of the signals of rooms and the names of the users whom they are about."""
    return [(f["type"], f["data"]["user"]["name"]) for f in frames if f["type"].endswith("_room")]


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.access}"}


def inside(server: ServerProcess, person: Person, room: str) -> set[str]:
    """Return the names of those who are inside, as the person sees it over HTTP."""
    path = f"/api/v1/rooms/{room}/presence"
    answer = server.call("GET", path, headers=bearer(person))
    assert answer.status_code == 200, answer.text
    return {one["name"] for one in answer.json()["data"]}


def test_those_inside_are_told_once_a_person_who_joins_and_leaves(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    room = f"post.{published_by(carol).pk}"
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
        TestSocket(server.url, token=bob.access) as phone,
    ):
        assert names(join(alice_socket, room)) == {"Alice"}
        with TestSocket(server.url, token=bob.another_device().access) as tablet:
            assert join(phone, room)["count"] == 2
            joined = alice_socket.expect("user_joined_room")["data"]
            assert (joined["room"], joined["user"]["name"]) == (room, "Bob")
            assert "email" not in joined["user"]
            assert names(join(tablet, room)) == {"Alice", "Bob"}
            assert leave(phone, room)["count"] == 2
            assert told(alice_socket.settle()) == []
        left = alice_socket.expect("user_left_room")["data"]
        assert (left["room"], left["user"]["id"]) == (room, bob.id)
        assert told(alice_socket.settle()) == []
        assert told(phone.settle()) == []
        assert told(carol_socket.settle()) == []
        assert names(leave(alice_socket, room)) == set()


def test_a_room_that_one_may_not_see_is_not_found(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    rooms = [f"post.{draft_of(bob).pk}", f"conversation.{group_of(bob.user).pk}"]
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        for room in [*rooms, f"post.{uuid7()}", "boat.deck", "room.", "room.The Deck"]:
            for command in ("join_room", "leave_room"):
                refused = alice_socket.ask(command, {"room": room})
                assert refused["type"] == "error"
                assert refused["data"] == {"code": "NOT_FOUND", "message": "Room not found"}
        for room in rooms:
            assert names(join(bob_socket, room)) == {"Bob"}
        assert told(alice_socket.settle()) == []


def test_the_21st_room_of_a_socket_is_refused(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    rooms = [f"room.{uuid7()}" for _ in range(21)]
    with TestSocket(server.url, token=alice.access) as socket:
        for room in rooms[:20]:
            join(socket, room)
        refused = socket.ask("join_room", {"room": rooms[20]})
        assert refused["data"]["code"] == "TOO_MANY_ROOMS"
        assert inside(server, bob, rooms[20]) == set()
        join(socket, rooms[0])
        leave(socket, rooms[1])
        join(socket, rooms[20])


def test_clients_without_a_websocket_are_inside_too(
    server: ServerProcess, alice: Person, bob: Person, room: str
) -> None:
    path = f"/api/v1/rooms/{room}/presence"
    with TestSocket(server.url, token=alice.access) as socket:
        join(socket, room)
        for _ in range(2):
            entered = server.call("POST", path, headers=bearer(bob)).json()["data"]
            assert names(entered) == {"Alice", "Bob"}
        assert socket.expect("user_joined_room")["data"]["user"]["id"] == bob.id
        server.call("DELETE", path, headers=bearer(bob))
        assert socket.expect("user_left_room")["data"]["user"]["id"] == bob.id
        assert told(socket.settle()) == []
    until(lambda: inside(server, bob, room) == set())


def test_a_user_whose_session_ends_leaves(
    server: ServerProcess, alice: Person, bob: Person, room: str
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        join(alice_socket, room)
        join(bob_socket, room)
        server.call("POST", "/api/v1/auth/logout", headers=bearer(bob))
        assert bob_socket.closed_with() == 4501
        assert alice_socket.expect("user_left_room")["data"]["user"]["id"] == bob.id
        assert inside(server, alice, room) == {"Alice"}


def archiving(start_server: Start, alice: Person, bob: Person, tamper: str) -> list[Frame]:
    """Archive a post of Bob while Alice and Bob are inside its room, and return what Alice
    receives."""
    server = start_server(PARLEY_TAMPER=tamper)
    post = published_by(bob)
    room = f"post.{post.pk}"
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        join(alice_socket, room)
        join(bob_socket, room)
        alice_socket.expect("user_joined_room")
        path = f"/api/v1/posts/{post.pk}"
        body = {"status": "archived"}
        assert server.call("PATCH", path, json=body, headers=bearer(bob)).status_code == 200
        left = alice_socket.expect("left_room", seconds=PATIENCE)
        assert left["data"] == {"room": room}
        assert bob_socket.expect("user_left_room")["data"]["user"]["id"] == alice.id
        assert inside(server, bob, room) == {"Bob"}
        refused = alice_socket.ask("join_room", {"room": room})
        assert refused["data"]["code"] == "NOT_FOUND"
        return alice_socket.settle()


def test_those_leave_from_whom_a_post_is_hidden(
    start_server: Start, alice: Person, bob: Person
) -> None:
    assert told(archiving(start_server, alice, bob, "never-checks-rooms")) == []


def test_the_check_of_the_hub_finds_who_was_not_told_to_leave(
    start_server: Start, alice: Person, bob: Person
) -> None:
    assert told(archiving(start_server, alice, bob, "hurried,never-hides-rooms")) == []


def test_a_build_without_both_lets_them_stay(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """The two tests above detect a build without what they are about."""
    with pytest.raises(AssertionError, match="No left_room"):
        archiving(start_server, alice, bob, "hurried,never-hides-rooms,never-checks-rooms")


def removing(start_server: Start, alice: Person, bob: Person, tamper: str) -> None:
    """Remove Bob from a group, in another process than that of their socket in its room."""
    server = start_server(PARLEY_TAMPER=tamper)
    group = group_of(alice.user, bob.user)
    room = CONVERSATION_ROOM.name(group.pk)
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        join(alice_socket, room)
        join(bob_socket, room)
        member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        assert bob_socket.expect("left_room", seconds=PATIENCE)["data"] == {"room": room}
        assert alice_socket.expect("user_left_room")["data"]["user"]["id"] == bob.id
        assert inside(server, alice, room) == {"Alice"}
        assert bob_socket.ask("join_room", {"room": room})["data"]["code"] == "NOT_FOUND"


@with_redis
def test_a_removed_member_leaves_the_room_of_the_group(
    start_server: Start, alice: Person, bob: Person
) -> None:
    removing(start_server, alice, bob, "never-checks-rooms")


def test_a_removed_member_leaves_though_the_control_was_lost(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """Without Redis the process receives no control of this one."""
    removing(start_server, alice, bob, "hurried")


@with_redis
def test_devices_on_two_processes_are_one_person(
    start_server: Start, alice: Person, bob: Person, room: str
) -> None:
    one, other = (start_server(PARLEY_TAMPER="hurried,short-stay") for _ in range(2))
    with (
        TestSocket(one.url, token=alice.access) as alice_socket,
        TestSocket(one.url, token=bob.access) as phone,
    ):
        join(alice_socket, room)
        tablet = TestSocket(other.url, token=bob.another_device().access)
        assert names(join(tablet, room)) == {"Alice", "Bob"}
        assert alice_socket.expect("user_joined_room")["data"]["user"]["id"] == bob.id
        join(phone, room)
        other.kill()
        phone.close()
        assert alice_socket.expect("user_left_room", seconds=15)["data"]["user"]["id"] == bob.id
        assert told(alice_socket.settle()) == []
        tablet.close()


@with_redis
def test_the_users_of_a_killed_process_leave(
    start_server: Start, alice: Person, bob: Person, room: str
) -> None:
    one, other = (start_server(PARLEY_TAMPER="hurried,short-stay") for _ in range(2))
    with TestSocket(one.url, token=alice.access) as alice_socket:
        join(alice_socket, room)
        bob_socket = TestSocket(other.url, token=bob.access)
        join(bob_socket, room)
        alice_socket.expect("user_joined_room")
        other.kill()
        assert alice_socket.expect("user_left_room", seconds=15)["data"]["user"]["id"] == bob.id
        assert inside(one, alice, room) == {"Alice"}
        bob_socket.close()


@pytest.fixture
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


def test_rooms_come_back_with_redis(
    start_server: Start, redis: PrivateRedis, alice: Person, bob: Person, room: str
) -> None:
    server = start_server(PARLEY_TAMPER="hurried", REDIS_URL=redis.url)
    path = f"/api/v1/rooms/{room}/presence"
    with TestSocket(server.url, token=alice.access) as alice_socket:
        bob_socket = TestSocket(server.url, token=bob.access)
        join(alice_socket, room)
        join(bob_socket, room)
        redis.stop()
        refused = alice_socket.ask("join_room", {"room": f"{room}-2"})
        assert refused["data"]["code"] == "SERVICE_UNAVAILABLE"
        answer = server.call("POST", path, headers=bearer(alice))
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        bob_socket.close()
        redis.start()

        def only_alice_is_inside() -> bool:
            answer = server.call("GET", path, headers=bearer(alice))
            return answer.status_code == 200 and [one["name"] for one in answer.json()["data"]] == [
                "Alice"
            ]

        until(only_alice_is_inside)
        join(alice_socket, f"{room}-2")


def test_a_banned_user_leaves_every_room(
    start_server: Start, alice: Person, bob: Person, room: str
) -> None:
    """The row changes without a control to this process, so that only the sweep can notice."""
    server = start_server(PARLEY_TAMPER="hurried")
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        join(alice_socket, room)
        join(bob_socket, room)
        set_status(bob.user, User.Status.BANNED)
        assert bob_socket.closed_with() == 4501
        assert alice_socket.expect("user_left_room")["data"]["user"]["id"] == bob.id
