"""A block holds on every surface on which one user meets another, in both directions.

The surfaces are found in the router, in the registry of commands and among the declared frames: all
that name a user. A new one fails the first test until it has a row, which either checks it or says
why a block does not matter there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from rest_framework import serializers

from apps.accounts.serializers import UserOutput
from apps.accounts.tests.people import Person
from apps.chat.errors import MayNotAddSome
from apps.chat.groups import group_create, members_add
from apps.chat.models import Membership, Message
from apps.chat.tests.factories import event_types, new_message
from apps.core.http.endpoint_checks import routes_of
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.realtime.registry import audiences_of, commands
from apps.realtime.server_frames import server_frames
from config.api import router
from testing.server import ServerProcess, until
from testing.socket import TestSocket

# Ids of things. Any other id is taken to be that of a user.
THINGS = {
    "id",
    "conversation_id",
    "message_id",
    "message_ids",
    "client_id",
    "ids",
    "notification_ids",
}


def surfaces() -> Iterator[str]:
    """Yield every endpoint, command and frame that names a user."""
    for route in routes_of(router.urls):
        declared = route.endpoint
        of_user = route.name.startswith("users-") and route.variables
        if declared and (of_user or names_user(declared.input, declared.query, declared.output)):
            yield f"{route.method} {route.name}"
    for kind, command in commands.items():
        answers = [frame.payload for frame in command.answers]
        if names_user(command.input, command.ack, *answers):
            yield f"command {kind}"
    for kind, frame in server_frames.items():
        if names_user(frame.payload):
            yield f"frame {kind}"


def names_user(*described: Any) -> bool:
    return any(
        issubclass(one, UserOutput)
        or any(is_user(name, field) for name, field in one._declared_fields.items())
        for one in described
        if one is not None
    )


def is_user(name: str, field: Any) -> bool:
    if child := getattr(field, "child", None):
        return is_user(name, child)
    if isinstance(field, serializers.Serializer):
        return names_user(type(field))
    return isinstance(field, serializers.UUIDField) and name not in THINGS


@dataclass
class Scene:
    """Alice acts and Bob must not notice. One of them has blocked the other."""

    alice: Person
    bob: Person
    alice_socket: TestSocket
    unread: list[Message]


def refused_over_http(path: str) -> Callable[[Scene], None]:
    def check(s: Scene) -> None:
        body = {"receiverId": s.bob.id, "content": "Ahoy"} if path == "/messages" else None
        before = Message.objects.count()
        response = s.alice.post(path.format(s.bob.id), body)
        assert response.status_code == 403
        assert response.json()["message"] == "You cannot interact with this user"
        assert Message.objects.count() == before

    return check


def refused_over_the_websocket(kind: str, **data: Any) -> Callable[[Scene], None]:
    def check(s: Scene) -> None:
        before = Message.objects.count()
        answer = s.alice_socket.ask(kind, {"receiverId": s.bob.id, **data})
        assert answer["type"] == "error"
        assert answer["data"]["code"] == "FORBIDDEN"
        assert Message.objects.count() == before

    return check


def list_is_refused(s: Scene) -> None:
    for path in ("followers", "following"):
        assert s.alice.get(f"/users/{s.bob.id}/{path}").status_code == 403


def not_found_by_name(s: Scene) -> None:
    assert s.alice.get("/users", {"search": "Bob"}).json()["data"] == []


def presence_is_not_told(s: Scene) -> None:
    asked = s.alice_socket.ask("presence", {"userIds": [s.bob.id]})
    assert asked["data"]["presence"] == {}


def not_online_in_the_list(s: Scene) -> None:
    [listed] = s.alice.get("/messages/conversations").json()["data"]
    assert (listed["isOnline"], listed["activity"], listed["lastSeenAt"]) == (False, None, None)


def in_no_audience(s: Scene) -> None:
    one, other = s.alice.user.pk, s.bob.user.pk
    assert audiences_of([one, other]) == {one: set(), other: set()}


def receipt_is_not_sent(kind: str, data: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    def check(s: Scene) -> None:
        before = event_types(s.bob)
        answer = s.alice_socket.ask(kind, data(s))
        assert answer["data"] == {"updated": 1}
        assert event_types(s.bob) == before

    return check


delivered = receipt_is_not_sent("delivered", lambda s: {"messageIds": [str(s.unread[0].pk)]})
read = receipt_is_not_sent(
    "read_receipt", lambda s: {"senderId": s.bob.id, "messageIds": [str(s.unread.pop(0).pk)]}
)


def not_told(s: Scene) -> None:
    with transaction.atomic():
        told = notify(
            [s.bob.user.pk], "posts", type="test", title="Ahoy", actor=s.alice.user, key="ahoy"
        )
    assert told == []
    assert not Notification.objects.exists()


OWN = "It is about the caller themselves."
POST = "Published posts are for everybody, also without an account."
PUBLIC = "Everybody may read it without an account."
MESSAGE = "It is sent only with a message, and those are refused."
GROUP = "Common groups go on: their members are there because of each other."
ROOM = "Rooms go on as common groups do: who enters is seen by all who are inside."
TOLD = "It keeps what was told before the block; see the frame `notification`."
PRESENCE = in_no_audience

ROWS: dict[str, Callable[[Scene], None] | str] = {
    "POST auth-login": OWN,
    "GET auth-profile": OWN,
    "PUT auth-profile": OWN,
    "PATCH auth-profile": OWN,
    "POST auth-refresh": OWN,
    "POST auth-register": OWN,
    "GET users-list": not_found_by_name,
    "GET users-detail": PUBLIC,
    "GET users-blocked": OWN,
    "POST users-block": "It makes the block.",
    "DELETE users-block": "It ends the block.",
    "POST users-follow": refused_over_http("/users/{}/follow"),
    "DELETE users-follow": "The block has ended the follow.",
    "GET users-followers": list_is_refused,
    "GET users-following": list_is_refused,
    "GET posts-list": POST,
    "POST posts-list": OWN,
    "GET posts-by-slug": POST,
    "GET posts-detail": POST,
    "PUT posts-detail": OWN,
    "PATCH posts-detail": OWN,
    "POST posts-publish": OWN,
    "GET messages-list": "Both keep what was said before.",
    "POST messages-list": refused_over_http("/messages"),
    "GET messages-conversations": not_online_in_the_list,
    "GET rooms-presence": ROOM,
    "POST rooms-presence": ROOM,
    "GET notifications-list": TOLD,
    "command presence": presence_is_not_told,
    "command chat_message": refused_over_the_websocket("chat_message", content="Ahoy"),
    "command typing": refused_over_the_websocket("typing", isTyping=True),
    "command read_receipt": read,
    "command join_room": ROOM,
    "command leave_room": ROOM,
    "frame user_online": PRESENCE,
    "frame user_activity": PRESENCE,
    "frame user_offline": PRESENCE,
    "frame post_published": POST,
    "frame notification": not_told,
    "frame chat_message": MESSAGE,
    "frame chat_message_sent": MESSAGE,
    "frame chat_delete": "It only takes away what was said before.",
    "frame typing": "It is sent only by the command.",
    "frame delivery_receipt": delivered,
    "frame read_receipt": read,
    "frame group_read": GROUP,
    "frame group_delivered": GROUP,
    "frame user_joined_room": ROOM,
    "frame user_left_room": ROOM,
    "frame group_created": GROUP,
    "frame members_joined": GROUP,
    "frame member_left": GROUP,
    "frame roles_changed": GROUP,
    "frame group_renamed": GROUP,
    "frame group_deleted": GROUP,
}


def test_every_surface_that_names_a_user_has_a_row() -> None:
    assert set(surfaces()) == set(ROWS)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("blocker_acts", [True, False])
def test_a_block_holds_on_every_surface(
    server: ServerProcess, alice: Person, bob: Person, blocker_acts: bool
) -> None:
    new_message(alice, bob)
    unread = [new_message(bob, alice) for _ in range(2)]
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        asked = {"userIds": [bob.id]}
        until(lambda: alice_socket.ask("presence", asked)["data"]["presence"][bob.id]["online"])
        bob_socket.settle()
        blocker, blocked = (alice, bob) if blocker_acts else (bob, alice)
        assert blocker.post(f"/users/{blocked.id}/block").status_code == 200
        scene = Scene(alice, bob, alice_socket, unread)
        for row in ROWS.values():
            if callable(row):
                row(scene)
        assert [frame["type"] for frame in bob_socket.settle()] == []


@pytest.mark.django_db
def test_nobody_is_added_to_a_group_by_whom_they_have_blocked(
    alice: Person, bob: Person, carol: Person
) -> None:
    group = group_create(alice.user, title="Crew", member_ids=[])
    bob.post(f"/users/{alice.id}/block")
    before = Membership.objects.count()
    with pytest.raises(MayNotAddSome):
        members_add(alice.user, conversation_id=group.pk, user_ids=[carol.user.pk, bob.user.pk])
    for one, other in ((alice, bob), (bob, alice)):
        with pytest.raises(MayNotAddSome):
            group_create(one.user, title="Other crew", member_ids=[other.user.pk])
    assert Membership.objects.count() == before
