"""A declaration that is incomplete or repeated stops the start, and every stream has one name."""

import json
from dataclasses import fields
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.events import SecurityAlert
from apps.accounts.tests.people import Person
from apps.chat.events import MessageDeleted, Typing
from apps.core.ids import uuid7
from apps.core.serializers import camelize
from apps.posts.events import FEED, PostPublished
from apps.realtime import event_log
from apps.realtime.events import UserOnline
from apps.realtime.frames import Frame
from apps.realtime.models import LoggedEvent
from apps.realtime.registry import command, commands
from apps.realtime.serializers import PingInput, UserActivityPayload
from apps.realtime.server_frames import Event, ServerFrame, StreamFrame, server_frames
from apps.realtime.socket_frames import Pong
from apps.realtime.streams import USER, StreamType, everybody, readers_of, stream_types


def test_two_frames_of_one_type_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="SecondTyping and Typing are both 'typing'"):

        class SecondTyping(Event):
            type = "typing"
            stream = USER
            payload = UserActivityPayload

    assert server_frames["typing"] is Typing


@pytest.mark.parametrize("payload", [None, UserActivityPayload(), dict])
def test_a_frame_without_a_serializer_of_its_payload_is_refused(payload: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="Undescribed has no serializer"):
        type("Undescribed", (ServerFrame,), {"type": "undescribed", "payload": payload})
    assert "undescribed" not in server_frames


def test_an_event_without_a_stream_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="Nowhere goes to no stream"):
        type("Nowhere", (Event,), {"type": "nowhere", "payload": UserActivityPayload})
    assert "nowhere" not in server_frames


@pytest.mark.parametrize("kind", server_frames)
def test_a_stream_frame_has_every_field_of_its_payload(kind: str) -> None:
    frame = server_frames[kind]
    if issubclass(frame, StreamFrame):
        described = set(frame.payload().fields)
        assert described <= {camelize(field.name) for field in fields(frame)}


def test_two_kinds_of_streams_with_one_prefix_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="named 'feed'"):
        StreamType(prefix="feed", description="Another.", readers=everybody)
    assert stream_types["feed"] is FEED


def test_a_stream_has_an_id_in_its_name_if_its_kind_has_one() -> None:
    user = uuid7()
    assert USER.name(user) == f"user.{user}"
    assert FEED.name() == "feed"
    with pytest.raises(ValueError, match=r"user\.\{userId\} have no name with the id None"):
        USER.name()
    with pytest.raises(ValueError, match="feed have no name with the id"):
        FEED.name(user)


ALICE = UUID("0192d4e0-7b1a-7c3d-8e4f-abcdefabcdef")


@pytest.mark.parametrize(
    "name",
    [
        f"user.{str(ALICE).upper()}",
        f"user.{ALICE.hex}",
        f"user.{{{ALICE}}}",
        f"user.urn:uuid:{ALICE}",
        f"user.{ALICE}.",
        f"user.{ALICE} ",
        "user.",
        "user",
        "feed.",
        "feed.x",
        " feed",
        "Feed",
        "nonsense",
        "",
    ],
)
def test_a_stream_has_no_second_name(name: str) -> None:
    assert readers_of(f"user.{ALICE}", [ALICE]) == {ALICE: 0}
    assert readers_of("feed", [ALICE]) == {ALICE: 0}
    assert readers_of(name, [ALICE]) == {}


@pytest.mark.django_db
def test_events_of_many_streams_are_numbered_and_logged_by_two_statements(
    alice: Person, bob: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    people, message = [alice.user.pk, bob.user.pk], uuid7()
    deleted = MessageDeleted(
        to=people, message_id=message, sender_id=people[0], receiver_id=people[1], subject=message
    )
    with transaction.atomic(), django_assert_num_queries(2):
        event_log.publish(deleted, PostPublished(post={"title": "Ahoy"}), *[deleted] * 50)
    data = {"messageId": str(message), "senderId": alice.id, "receiverId": bob.id}
    for person in people:
        logged = LoggedEvent.objects.filter(stream=USER.name(person)).order_by("seq")
        expected = [(seq, "chat_delete", data, message) for seq in range(1, 52)]
        assert list(logged.values_list("seq", "type", "data", "subject")) == expected
    assert LoggedEvent.objects.get(stream="feed").data == {"post": {"title": "Ahoy"}}


@pytest.mark.django_db
def test_an_event_without_recipients_is_not_logged() -> None:
    with transaction.atomic():
        event_log.publish(SecurityAlert(to=[], reason="failed_logins", at=timezone.now()))
    assert not LoggedEvent.objects.exists()


def test_a_signal_goes_to_each_of_its_streams_and_names_what_it_replaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Frame] = []
    monkeypatch.setattr(event_log, "wake", lambda frames: sent.extend(frames))
    event_log.signal(UserOnline(to=[ALICE], user_id=ALICE, activity="active", version=7))
    [frame] = sent
    assert (frame.stream, frame.seq) == (USER.name(ALICE), None)
    assert (frame.about, frame.version) == (f"presence {ALICE}", 7)
    assert json.loads(frame.content)["data"] == {"userId": str(ALICE), "activity": "active"}


def test_two_commands_of_one_name_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="named 'ping'"):
        command("ping", input=PingInput, answers=[Pong])


@pytest.mark.parametrize("answered", [{}, {"ack": UserActivityPayload, "answers": [Pong]}])
def test_a_command_without_exactly_one_kind_of_answer_is_refused(answered: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="'dance' is answered by an ack, or by frames"):
        command("dance", input=PingInput, **answered)
    assert "dance" not in commands
