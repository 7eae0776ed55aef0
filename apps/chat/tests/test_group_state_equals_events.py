"""Who applies the events of a group's stream to what they were shown as they joined has what they
would be shown now.

Random things happen in groups of 2, 50 and 500: their members write, read, delete, join, leave, are
removed and change their roles. A client knows the group as it stood when its user joined, and then
nothing but what the stream tells from that event on.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from apps.accounts.models import User
from apps.chat.events import CONVERSATION
from apps.chat.groups import group_rename, member_remove, member_set_role, members_add
from apps.chat.models import Conversation, Membership, Message
from apps.chat.queries import unread_by, visible_to
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.selectors import group_memberships, group_readers, messages_in
from apps.chat.serializers import MessageOutput
from apps.chat.services import message_delete
from apps.chat.tests.factories import group_of, new_group_message, users
from apps.core.errors import DomainError
from apps.realtime.event_log import events_after

pytestmark = pytest.mark.django_db


class Client:
    """What a client knows of a group that reads nothing but its stream."""

    def __init__(self, user: User, group: Conversation) -> None:
        self.user = user
        self.group = group
        memberships = Membership.objects.filter(conversation=group)
        self.roles = {str(one.user_id): one.role for one in memberships}
        self.read = {str(one.user_id): one.read_seq for one in memberships}
        self.there = {str(one.user_id): one.delivered_seq for one in memberships}
        self.title = Conversation.objects.get(pk=group.pk).title
        self.last_event = memberships.get(user=user).joined_event
        self.messages: dict[int, dict[str, Any]] = {}
        self.own_reading: set[int] = set()

    def catch_up(self) -> None:
        """Take the events that it does not have yet."""
        while missed := events_after(CONVERSATION.name(self.group.pk), self.last_event).frames:
            for frame in missed:
                assert frame.seq == self.last_event + 1
                self.last_event = frame.seq
                event = json.loads(frame.content)
                getattr(self, f"_{event['type']}")(event["data"])

    def _group_created(self, data: Any) -> None:
        assert set(self.roles) == {data["ownerId"], *data["memberIds"]}

    def _members_joined(self, data: Any) -> None:
        for user in data["userIds"]:
            self.roles[user] = "member"
            self.read[user] = self.there[user] = data["joinedSeq"]

    def _member_left(self, data: Any) -> None:
        for known in (self.roles, self.read, self.there):
            del known[data["userId"]]

    def _roles_changed(self, data: Any) -> None:
        for one in data["roles"]:
            self.roles[one["userId"]] = one["role"]

    def _group_renamed(self, data: Any) -> None:
        self.title = data["title"]

    def _chat_message(self, data: Any) -> None:
        message = data["message"]
        assert message["seq"] not in self.messages
        self.messages[message["seq"]] = message

    def _chat_delete(self, data: Any) -> None:
        # It may be one from before its user joined.
        for seq, message in list(self.messages.items()):
            if message["id"] == data["messageId"]:
                del self.messages[seq]

    def _group_read(self, data: Any) -> None:
        assert data["upTo"] >= self.read[data["userId"]]
        self.read[data["userId"]] = data["upTo"]
        if data["userId"] == str(self.user.pk):
            for one in data["ranges"]:
                numbers = {seq for seq in self._others() if one["first"] <= seq <= one["last"]}
                assert not numbers & self.own_reading, "read a second time"
                self.own_reading |= numbers

    def _group_delivered(self, data: Any) -> None:
        assert data["upTo"] >= self.there[data["userId"]]
        self.there[data["userId"]] = data["upTo"]

    def shown(self) -> list[dict[str, Any]]:
        """Return the messages with the status that the members' cursors give them, the newest
        first."""
        return [
            {**self.messages[seq], "status": self._status(seq)}
            for seq in sorted(self.messages, reverse=True)
        ]

    def _status(self, seq: int) -> str:
        others = self.roles.keys() - {self.messages[seq]["senderId"]}
        if all(self.read[user] >= seq for user in others):
            return "read"
        if all(max(self.read[user], self.there[user]) >= seq for user in others):
            return "delivered"
        return "sent"

    def unread(self) -> int:
        """Return how many messages of others its user has not read."""
        return len(self._others() - self.own_reading)

    def _others(self) -> set[int]:
        own = str(self.user.pk)
        return {seq for seq, message in self.messages.items() if message["senderId"] != own}


def require_agreement(client: Client) -> None:
    """Fail unless the client knows what its user would be shown."""
    client.catch_up()
    shown = [MessageOutput.dump(one) for one in messages_in(client.user, client.group.pk)]
    assert client.shown() == shown
    [membership] = group_memberships(client.user).filter(conversation=client.group)
    assert client.unread() == membership.unread
    assert client.title == membership.conversation.title
    roles = Membership.objects.filter(conversation=client.group).values_list("user", "role")
    assert client.roles == {str(user): role for user, role in roles}


class Play:
    """One group in which things happen at random."""

    def __init__(self, seed: int, people: Sequence[User], size: int) -> None:
        self.chance = random.Random(seed)
        self.people = people
        self.group = group_of(*people[:size])
        self.sent: list[Message] = []
        self.clients: dict[UUID, Client] = {}
        self._follow()
        self.send(people[0])

    def _follow(self) -> None:
        """Have those who are watched and belong to the group be its clients, and nobody else."""
        watched = {user.pk: user for user in (*self.people[:2], *self.people[-2:])}
        belong = group_readers(self.group.pk, watched)
        for pk, user in watched.items():
            if pk not in belong:
                self.clients.pop(pk, None)
            elif pk not in self.clients:
                self.clients[pk] = Client(user, self.group)

    def act(self) -> None:
        """Do something, or have it refused."""
        actions: dict[Callable[[User], object], int] = {
            self.send: 5,
            self.read: 4,
            self.read_up_to: 2,
            self.deliver: 2,
            self.add: 2,
            self.remove: 2,
            self.delete: 1,
            self.change_role: 1,
            self.rename: 1,
        }
        [action] = self.chance.choices(list(actions), list(actions.values()))
        try:
            # Of many, most would have nothing to say in it.
            action(self.chance.choice([self.people[0], self.chance.choice(self.people)]))
        except DomainError:
            return
        if action in {self.add, self.remove}:
            self._follow()

    def some_ids(self) -> list[UUID]:
        """Return the ids of some of the messages so far."""
        count = min(len(self.sent), self.chance.randint(1, 4))
        return [one.pk for one in self.chance.sample(self.sent, count)]

    def send(self, actor: User) -> None:
        self.sent.append(new_group_message(self.group, actor, f"Ahoy {len(self.sent)}"))

    def read(self, actor: User) -> None:
        if messages_mark_read(actor.pk, message_ids=self.some_ids()).updated:
            self.require_cursor(actor)

    def read_up_to(self, actor: User) -> None:
        up_to = self.chance.randint(1, 9)
        if messages_mark_read(actor.pk, conversation_id=self.group.pk, up_to=up_to).updated:
            self.require_cursor(actor)

    def require_cursor(self, actor: User) -> None:
        """Fail unless what others said next after the reader's cursor is not read."""
        membership = Membership.objects.get(conversation=self.group, user=actor)
        behind = visible_to(actor.pk).filter(conversation=self.group, seq__gt=membership.read_seq)
        next_one = behind.exclude(sender=actor).order_by("seq").first()
        assert next_one == unread_by(membership).order_by("seq").first()

    def deliver(self, actor: User) -> None:
        messages_mark_delivered(actor.pk, message_ids=self.some_ids())

    def add(self, actor: User) -> None:
        ids = [user.pk for user in self.chance.sample(self.people, min(3, len(self.people)))]
        members_add(actor, conversation_id=self.group.pk, user_ids=ids)

    def remove(self, actor: User) -> None:
        gone = self.chance.choice([actor, self.chance.choice(self.people)])
        member_remove(actor, conversation_id=self.group.pk, user_id=gone.pk)

    def delete(self, actor: User) -> None:
        if self.sent:
            message_delete(actor, message_id=self.chance.choice(self.sent).pk)

    def change_role(self, actor: User) -> None:
        role = self.chance.choice(["owner", "admin", "member"])
        member = self.chance.choice(self.people)
        member_set_role(actor, conversation_id=self.group.pk, user_id=member.pk, role=role)

    def rename(self, actor: User) -> None:
        group_rename(actor, conversation_id=self.group.pk, title=self.chance.choice("ABC"))


@pytest.mark.parametrize(
    ("size", "seeds", "steps"), [(2, 150, 11), (50, 20, 18), (500, 2, 18)], ids=str
)
def test_events_of_a_group_give_the_same_state_as_the_selectors(
    size: int, seeds: int, steps: int
) -> None:
    people = users(size + 2)
    for seed in range(seeds):
        play = Play(seed, people, size)
        for _ in range(steps):
            play.act()
        for client in play.clients.values():
            require_agreement(client)
