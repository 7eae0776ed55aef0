"""What the API shows, and then the events after the numbers in its `meta.streams`, give the state
that the API shows later.

Between the statements of a load other connections write: messages are sent, read and deleted, in
direct conversations and in a group. The client checks that no event tells what it was shown
already, so that counts are right as well.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, connections

from apps.accounts.tests.people import Person
from apps.chat.errors import MessageNotFound
from apps.chat.models import Conversation, Message
from apps.chat.receipts import messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import group_of, new_group_message, new_message
from apps.core.db import snapshots
from apps.realtime.event_log import events_after
from apps.realtime.streams import USER

pytestmark = pytest.mark.django_db(transaction=True)

SEEDS = 500
WINDOW = 20


class Writers:
    """Users who write at random, by a connection of their own."""

    def __init__(self, people: Sequence[Person], group: Conversation) -> None:
        self._people = people
        self._group = group
        self._sent: list[Message] = []
        self._thread = ThreadPoolExecutor(1)

    def write(self, dice: random.Random) -> None:
        """Do one of the things that users do, and return once it is committed."""
        what = dice.choices(
            [self._send, self._send_to_group, self._read, self._delete], [4, 2, 3, 1]
        )
        self._thread.submit(what[0], dice).result()

    @contextmanager
    def writing(self, dice: random.Random) -> Iterator[None]:
        """Write between the statements of the block."""

        def execute(run: Callable[..., Any], *statement: Any) -> Any:
            while dice.random() < 0.3:
                self.write(dice)
            return run(*statement)

        with connection.execute_wrapper(execute):
            yield

    def end(self) -> None:
        """Close the connection."""
        self._thread.submit(connections.close_all).result()
        self._thread.shutdown()

    def _send(self, dice: random.Random) -> None:
        sender, receiver = dice.sample(self._people, 2)
        self._sent.append(new_message(sender, receiver))

    def _send_to_group(self, dice: random.Random) -> None:
        self._sent.append(new_group_message(self._group, dice.choice(self._people).user))

    def _read(self, dice: random.Random) -> None:
        if self._sent:
            read = dice.choices(self._sent[-20:], k=3)
            messages_mark_read(dice.choice(self._people).user.pk, message_ids=[m.pk for m in read])

    def _delete(self, dice: random.Random) -> None:
        if self._sent:
            message = dice.choice(self._sent[-10:])
            with suppress(MessageNotFound):
                message_delete(message.sender, message_id=message.pk)


@pytest.fixture
def group(alice: Person, bob: Person, carol: Person) -> Conversation:
    return group_of(alice.user, bob.user, carol.user)


@pytest.fixture
def writers(alice: Person, bob: Person, carol: Person, group: Conversation) -> Iterator[Writers]:
    made = Writers([alice, bob, carol], group)
    yield made
    made.end()


class Loaded:
    """What a client was shown, and keeps up to date by events."""

    # What it asks for, and whether the client must load it again after a deletion: the events tell
    # which message was deleted, but not which one is the last now, nor whether it was read.
    path: str
    loads_again = True

    def __init__(self, person: Person, query: Mapping[str, Any]) -> None:
        answer = person.get(self.path, query).json()
        self.person = person
        self.data = answer["data"]
        self.numbers: dict[str, int] = answer["meta"]["streams"]
        self.stale = False

    def catch_up(self) -> None:
        """Apply the events after the numbers that the answer named."""
        for stream, number in self.numbers.items():
            while missed := events_after(stream, number).frames:
                for frame in missed:
                    assert frame.seq == number + 1
                    number = frame.seq
                    event = json.loads(frame.content)
                    if event["type"] == "chat_delete" and self.loads_again:
                        self.stale = True
                    else:
                        apply = getattr(self, f"_{event['type']}", None)
                        if apply is not None:
                            apply(event["data"])

    def require_equal(self, shown: Any) -> None:
        """Fail unless this is what is shown now."""
        assert self.data == shown


class Messages(Loaded):
    """The messages with another user."""

    path = "/messages"
    loads_again = False

    def __init__(self, person: Person, query: Mapping[str, Any]) -> None:
        super().__init__(person, query)
        self.other = query["userId"]
        # Of a full window the client does not know what comes after a message that is deleted.
        self.full = len(self.data) == WINDOW

    def _chat_message(self, data: Any) -> None:
        message = data["message"]
        if self.other in {message["senderId"], message["receiverId"]}:
            assert message["id"] not in [one["id"] for one in self.data]
            self.data.insert(0, message)

    _chat_message_sent = _chat_message

    def _read_receipt(self, data: Any) -> None:
        for message in self.data:
            if message["id"] in data["messageIds"]:
                assert message["status"] != "read"
                message |= {"status": "read", "readAt": data["readAt"]}

    def _chat_delete(self, data: Any) -> None:
        self.data = [one for one in self.data if one["id"] != data["messageId"]]

    def require_equal(self, shown: Any) -> None:
        assert self.data[: len(shown)] == shown[: len(self.data)]
        assert self.full or len(self.data[:WINDOW]) == len(shown)


class Unread(Loaded):
    """How many messages the user has not read, in direct conversations and groups."""

    path = "/messages/unread"

    def _chat_message(self, data: Any) -> None:
        self.data["total"] += data["message"]["senderId"] != self.person.id

    def _read_receipt(self, data: Any) -> None:
        if data["readBy"] == self.person.id:
            self.data["total"] -= len(data["messageIds"])

    def _group_read(self, data: Any) -> None:
        if data["userId"] == self.person.id:
            self.data["total"] -= sum(one["last"] - one["first"] + 1 for one in data["ranges"])

    def require_equal(self, shown: Any) -> None:
        assert self.data["total"] == shown["total"]


class Conversations(Loaded):
    """The unread messages of each direct conversation."""

    path = "/messages/conversations"

    def __init__(self, person: Person, query: Mapping[str, Any]) -> None:
        super().__init__(person, query)
        self.data = self.counted(self.data)
        self.unread_ids: set[str] = set()

    def counted(self, shown: Any) -> dict[str, tuple[str, int]]:
        """Return the last message and the unread messages of each conversation."""
        return {one["userId"]: (one["lastMessage"]["id"], one["unreadCount"]) for one in shown}

    def _chat_message(self, data: Any) -> None:
        message = data["message"]
        last, unread = self.data.get(message["senderId"], ("", 0))
        assert last != message["id"]
        self.data[message["senderId"]] = (message["id"], unread + 1)

    def _chat_message_sent(self, data: Any) -> None:
        message = data["message"]
        _, unread = self.data.get(message["receiverId"], ("", 0))
        self.data[message["receiverId"]] = (message["id"], unread)

    def _read_receipt(self, data: Any) -> None:
        if data["readBy"] == self.person.id:
            senders = [
                str(one.sender_id) for one in Message.objects.filter(pk__in=data["messageIds"])
            ]
            for sender in senders:
                last, unread = self.data[sender]
                self.data[sender] = (last, unread - 1)

    def require_equal(self, shown: Any) -> None:
        assert self.data == self.counted(shown)


def agree(seeds: range, people: Sequence[Person], writers: Writers) -> int:
    """Load and follow once for each seed; return how often a client could compare to the end."""
    compared = 0
    for seed in seeds:
        dice = random.Random(seed)
        reader, other = dice.sample(people, 2)
        kind = dice.choice([Messages, Unread, Conversations])
        query = {"userId": other.id, "limit": WINDOW} if kind is Messages else {}
        new_message(reader, other)
        with writers.writing(dice):
            loaded = kind(reader, query)
        for _ in range(dice.randrange(3)):
            writers.write(dice)
        loaded.catch_up()
        if not loaded.stale:
            loaded.require_equal(reader.get(kind.path, query).json()["data"])
            compared += 1
    return compared


def test_events_after_the_numbers_of_an_answer_give_the_state_shown_later(
    alice: Person, bob: Person, carol: Person, writers: Writers
) -> None:
    assert agree(range(SEEDS), [alice, bob, carol], writers) > SEEDS / 2


def test_numbers_that_are_read_on_another_snapshot_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
    alice: Person,
    bob: Person,
    carol: Person,
    writers: Writers,
) -> None:
    @contextmanager
    def no_snapshot() -> Iterator[None]:
        yield

    monkeypatch.setattr("apps.realtime.snapshots.one_snapshot", no_snapshot)
    with pytest.raises(AssertionError):
        agree(range(100), [alice, bob, carol], writers)


def test_answers_name_the_streams_that_change_them(alice: Person, group: Conversation) -> None:
    own, of_group = USER.name(alice.user.pk), f"conversation.{group.pk}"
    for path, streams in (
        ("/messages/conversations", {own}),
        ("/messages/unread", {own, of_group}),
        ("/posts", {"feed"}),
    ):
        assert set(alice.get(path).json()["meta"]["streams"]) == streams
    assert "streams" not in alice.get("/auth/profile").json()["meta"]


def test_a_snapshot_holds_up_no_writer(alice: Person, bob: Person, writers: Writers) -> None:
    with snapshots.one_snapshot():
        before = Message.objects.count()
        for seed in range(5):
            writers.write(random.Random(seed))
        assert Message.objects.count() == before
    assert Message.objects.count() > before
