"""A client that applies the events of a group to the state it joined with has the present state.

Random actions happen in groups of 2, 50 and 500: members write, read, delete, join, leave, are
removed and change their roles. A client knows the group as it was when its user joined, and from
then on nothing but the events of the stream.
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
from apps.chat.selectors import (
    group_memberships,
    group_readers,
    memberships_shown,
    messages_in,
    messages_shown,
)
from apps.chat.serializers import MessageOutput
from apps.chat.services import message_delete
from apps.chat.tests.factories import group_events, group_of, new_group_message, users
from apps.core.errors import DomainError
from apps.realtime.event_log import events_after

pytestmark = pytest.mark.django_db


class Client:
    """The group of a client that reads nothing but its stream."""

    def __init__(self, user: User, group: Conversation) -> None:
        self.user = user
        self.group = group
        memberships = Membership.objects.filter(conversation=group)
        self.roles = {str(one.user_id): one.role for one in memberships}
        self.read = {str(one.user_id): one.read_seq for one in memberships}
        self.delivered = {str(one.user_id): one.delivered_seq for one in memberships}
        self.title = Conversation.objects.get(pk=group.pk).title
        self.last_event = memberships.get(user=user).joined_event
        self.messages: dict[int, dict[str, Any]] = {}
        self.own_reads: set[int] = set()

    def catch_up(self) -> None:
        """Apply the events that it does not have yet."""
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
            self.read[user] = self.delivered[user] = data["joinedSeq"]

    def _member_left(self, data: Any) -> None:
        for known in (self.roles, self.read, self.delivered):
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
        # The message may be older than the membership of the user.
        for seq, message in list(self.messages.items()):
            if message["id"] == data["messageId"]:
                del self.messages[seq]

    def _group_read(self, data: Any) -> None:
        assert data["upTo"] >= self.read[data["userId"]]
        self.read[data["userId"]] = data["upTo"]
        if data["userId"] == str(self.user.pk):
            for one in data["ranges"]:
                numbers = {seq for seq in self._others() if one["first"] <= seq <= one["last"]}
                assert not numbers & self.own_reads, "read a second time"
                self.own_reads |= numbers

    def _group_delivered(self, data: Any) -> None:
        assert data["upTo"] >= self.delivered[data["userId"]]
        self.delivered[data["userId"]] = data["upTo"]

    def shown(self) -> list[dict[str, Any]]:
        """Return the messages, the newest first, with the status that follows from the cursors of
        the members."""
        return [
            {**self.messages[seq], "status": self._status(seq)}
            for seq in sorted(self.messages, reverse=True)
        ]

    def _status(self, seq: int) -> str:
        others = self.roles.keys() - {self.messages[seq]["senderId"]}
        if all(self.read[user] >= seq for user in others):
            return "read"
        if all(max(self.read[user], self.delivered[user]) >= seq for user in others):
            return "delivered"
        return "sent"

    def unread(self) -> int:
        """Return how many messages its user has not read."""
        return len(self._others() - self.own_reads)

    def _others(self) -> set[int]:
        own = str(self.user.pk)
        return {seq for seq, message in self.messages.items() if message["senderId"] != own}


def require_agreement(client: Client) -> None:
    """Fail unless the client has the state that the selectors return."""
    client.catch_up()
    listed = messages_in(client.user, client.group.pk)
    shown = [MessageOutput.dump(one) for one in messages_shown(listed)]
    assert client.shown() == shown
    own = group_memberships(client.user).filter(conversation=client.group)
    [membership] = memberships_shown([one.pk for one in own])
    assert client.unread() == membership.unread
    assert client.title == membership.conversation.title
    roles = Membership.objects.filter(conversation=client.group).values_list("user", "role")
    assert client.roles == {str(user): role for user, role in roles}


class Scenario:
    """One group with random actions."""

    def __init__(self, seed: int, people: Sequence[User], size: int) -> None:
        self.random = random.Random(seed)
        self.people = people
        # These have clients. The last two are not members at first.
        self.watched = {user.pk: user for user in (*people[:2], *people[-2:])}
        self.group = group_of(*people[:size])
        self.sent: list[Message] = []
        self.clients: dict[UUID, Client] = {}
        self._update_clients()
        self.send(people[0])

    def _update_clients(self) -> None:
        """Keep one client for each watched user who is a member."""
        members = group_readers(self.group.pk, self.watched)
        for pk, user in self.watched.items():
            if pk not in members:
                self.clients.pop(pk, None)
            elif pk not in self.clients:
                self.clients[pk] = Client(user, self.group)

    def act(self) -> None:
        """Do a random action; it may be refused."""
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
        [action] = self.random.choices(list(actions), list(actions.values()))
        try:
            # The owner acts most often: most members of a large group may do little.
            action(self.random.choice([self.people[0], self.some_user()]))
        except DomainError:
            return
        if action in {self.add, self.remove}:
            self._update_clients()

    def some_user(self) -> User:
        """Return a random user, watched ones more often: what the clients see depends on these."""
        return self.random.choice(self.random.choice([list(self.watched.values()), self.people]))

    def changes(self) -> set[str]:
        """Return which of joining, leaving and being removed have happened."""
        found = set()
        for kind, data in group_events(self.group):
            if kind == "members_joined":
                found.add("joined")
            elif kind == "member_left":
                found.add("left" if data["by"] == data["userId"] else "removed")
        return found

    def some_ids(self) -> list[UUID]:
        """Return the ids of some of the sent messages."""
        count = min(len(self.sent), self.random.randint(1, 4))
        return [one.pk for one in self.random.sample(self.sent, count)]

    def send(self, actor: User) -> None:
        self.sent.append(new_group_message(self.group, actor, f"Ahoy {len(self.sent)}"))

    def read(self, actor: User) -> None:
        if messages_mark_read(actor.pk, message_ids=self.some_ids()).updated:
            self.require_cursor(actor)

    def read_up_to(self, actor: User) -> None:
        up_to = self.random.randint(1, 9)
        if messages_mark_read(actor.pk, conversation_id=self.group.pk, up_to=up_to).updated:
            self.require_cursor(actor)

    def require_cursor(self, actor: User) -> None:
        """Fail unless the next message of another user after the cursor is unread."""
        membership = Membership.objects.get(conversation=self.group, user=actor)
        later = visible_to(actor.pk).filter(conversation=self.group, seq__gt=membership.read_seq)
        next_one = later.exclude(sender=actor).order_by("seq").first()
        assert next_one == unread_by(membership).order_by("seq").first()

    def deliver(self, actor: User) -> None:
        messages_mark_delivered(actor.pk, message_ids=self.some_ids())

    def add(self, actor: User) -> None:
        ids = [self.some_user().pk for _ in range(3)]
        members_add(actor, conversation_id=self.group.pk, user_ids=ids)

    def remove(self, actor: User) -> None:
        leaving = self.random.choice([actor, self.some_user()])
        member_remove(actor, conversation_id=self.group.pk, user_id=leaving.pk)

    def delete(self, actor: User) -> None:
        if self.sent:
            message_delete(actor, message_id=self.random.choice(self.sent).pk)

    def change_role(self, actor: User) -> None:
        role = self.random.choice(["owner", "admin", "member"])
        member_set_role(
            actor, conversation_id=self.group.pk, user_id=self.some_user().pk, role=role
        )

    def rename(self, actor: User) -> None:
        group_rename(actor, conversation_id=self.group.pk, title=self.random.choice("ABC"))


@pytest.mark.parametrize(
    ("size", "seeds", "steps"), [(2, 115, 10), (50, 36, 10), (500, 20, 10)], ids=str
)
def test_events_of_a_group_give_the_same_state_as_the_selectors(
    size: int, seeds: int, steps: int
) -> None:
    people = users(size + 2)
    changes: set[str] = set()
    for seed in range(seeds):
        scenario = Scenario(seed, people, size)
        for _ in range(steps):
            scenario.act()
        for client in scenario.clients.values():
            require_agreement(client)
        changes |= scenario.changes()
    assert changes == {"joined", "left", "removed"}
