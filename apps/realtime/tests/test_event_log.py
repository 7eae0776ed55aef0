"""The log over time: pruned, restored, and read by a process that is behind."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.core.ids import uuid7
from apps.realtime import event_log
from apps.realtime.event_log import events_after, events_prune
from apps.realtime.models import LoggedEvent, Stream
from apps.realtime.streams import USER
from apps.realtime.tests.factories import log_messages
from apps.realtime.tests.test_resuming import seqs
from testing.server import ServerProcess
from testing.socket import TestSocket

OLD = timezone.now() - settings.EVENT_RETENTION - timedelta(hours=1)


def age(stream: str, *numbers: int) -> None:
    """Give events the time of a clock that is behind, or of a transaction that waited."""
    LoggedEvent.objects.filter(stream=stream, seq__in=numbers).update(created_at=OLD)


def kept(stream: str) -> list[int]:
    return list(
        LoggedEvent.objects.filter(stream=stream).order_by("seq").values_list("seq", flat=True)
    )


@pytest.mark.django_db
def test_pruning_deletes_up_to_a_number_and_leaves_no_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "PRUNED_AT_ONCE", 2)
    users = [uuid7() for _ in range(3)]
    for user in users:
        log_messages(user, 9)
    some_old, all_old, all_young = USER.names(users)
    age(some_old, 1, 2, 3, 4, 5, 7)
    age(all_old, *range(1, 10))
    assert events_prune() == 5 + 9
    assert kept(some_old) == [6, 7, 8, 9]
    assert kept(all_old) == []
    assert kept(all_young) == list(range(1, 10))
    assert events_prune() == 0


@pytest.mark.django_db
def test_a_hole_makes_a_backlog_incomplete() -> None:
    user = uuid7()
    stream = USER.name(user)
    log_messages(user, 9)
    assert events_after(stream, 2).complete
    LoggedEvent.objects.get(stream=stream, seq=6).delete()
    assert not events_after(stream, 2).complete
    assert not events_after(stream, 2, up_to=9).complete
    assert events_after(stream, 2, up_to=5).complete
    assert events_after(stream, 6).complete


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_hole_in_the_log_is_answered_with_reset(server: ServerProcess, alice: Person) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 9)
    LoggedEvent.objects.get(stream=stream, seq=6).delete()
    with TestSocket(server.url, token=alice.access) as alice_socket:
        answer = alice_socket.ask("subscribe", {"stream": stream, "after": 2})
        assert (answer["type"], answer["data"]["head"]) == ("reset", 9)
        assert seqs(alice_socket.settle()) == []


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_subscribers_are_reset_when_the_database_was_restored(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 9)
    server = start_server(PARLEY_TAMPER="hurried")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        assert alice_socket.expect("connected")["data"]["streams"] == {stream: 9}
        LoggedEvent.objects.filter(stream=stream, seq__gt=4).delete()
        Stream.objects.filter(name=stream).update(head=4)
        assert alice_socket.expect("reset")["data"]["head"] == 4
        log_messages(alice.user.pk, 2)
        assert [alice_socket.expect("chat_message")["seq"] for _ in range(2)] == [5, 6]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_after_a_restore_the_new_epoch_tells_known_numbers_from_new_ones(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 9)
    epoch = Stream.objects.get(name=stream).epoch
    server = start_server(PARLEY_TAMPER="hurried")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        call_command("renew_epochs", verbosity=0)
        renewed = Stream.objects.get(name=stream).epoch
        assert renewed != epoch
        # Open sockets are reset too, although the numbers are the same.
        assert alice_socket.expect("reset")["data"] == {
            "stream": stream,
            "head": 9,
            "epoch": renewed,
        }
        old = {"stream": stream, "after": 9, "epoch": epoch}
        assert alice_socket.ask("subscribe", old)["type"] == "reset"
        new = {"stream": stream, "after": 9, "epoch": renewed}
        assert alice_socket.ask("subscribe", new)["type"] == "subscribed"


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_behind_reads_the_log_before_it_answers_reset(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    stream = f"user.{alice.id}"
    server = start_server(PARLEY_TAMPER="never-heals", REDIS_URL="")
    with (
        # This socket keeps the stream subscribed in the process.
        TestSocket(server.url, token=alice.access) as other,
        TestSocket(server.url, token=alice.access) as alice_socket,
    ):
        other.expect("connected")
        alice_socket.expect("connected")
        # The process does not learn of these.
        log_messages(alice.user.pk, 5)
        answer = alice_socket.ask("subscribe", {"stream": stream, "after": 4})
        assert (answer["type"], answer["data"]["head"]) == ("subscribed", 5)
        assert alice_socket.expect("chat_message")["seq"] == 5


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_stream_has_an_epoch_as_soon_as_it_has_an_event(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    stream = f"user.{bob.id}"
    with (
        # This socket keeps the stream subscribed in the process.
        TestSocket(server.url, token=bob.access) as other,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        other.expect("connected")
        assert bob_socket.ask("subscribe", {"stream": stream})["data"]["epoch"] == ""
        message = {"receiverId": bob.id, "content": "Hello"}
        headers = {"Authorization": f"Bearer {alice.access}"}
        server.call("POST", "/api/v1/messages", json=message, headers=headers)
        bob_socket.expect("chat_message")
        epoch = Stream.objects.get(name=stream).epoch
        answer = bob_socket.ask("subscribe", {"stream": stream, "after": 1, "epoch": epoch})
        assert answer["type"] == "subscribed"
        assert answer["data"]["epoch"] == epoch
