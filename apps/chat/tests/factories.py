"""Messages for tests, made through the services."""

from typing import Any
from uuid import UUID

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.chat.events import CONVERSATION
from apps.chat.groups import group_create
from apps.chat.models import Conversation, Membership, Message, Receipt
from apps.chat.queries import with_status, with_users
from apps.chat.services import Draft, message_send, messages_send
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER


def draft(sender: Person, receiver: Person, content: str = "Ahoy", **more: Any) -> Draft:
    """Return a message that is not sent yet."""
    return Draft(sender.user.pk, receiver.user.pk, content, **more)


def new_message(sender: Person, receiver: Person, content: str = "Ahoy", **more: Any) -> Message:
    """Return a message that was sent."""
    return message_send(draft(sender, receiver, content, **more)).message


def new_messages(sender: Person, receiver: Person, count: int) -> list[UUID]:
    """Return the ids of that many messages that were sent together, the newest first."""
    sent = messages_send([draft(sender, receiver, f"Ahoy {n}") for n in range(count)])
    return [one.message.pk for one in sent if not isinstance(one, Exception)][::-1]


def reloaded(message: Message | UUID) -> Message:
    """Return a message as it is in the database now, given the message or its id."""
    pk = message.pk if isinstance(message, Message) else message
    return with_users(with_status(Message.objects.all())).get(pk=pk)


def statuses() -> list[str]:
    """Return the status of every message, in the order of their ids."""
    return [message.status for message in with_status(Message.objects.order_by("pk"))]


def user_events(person: Person) -> list[tuple[str, Any]]:
    """Return type and data of the events on the stream of a user, the oldest first."""
    events = LoggedEvent.objects.filter(stream=USER.name(person.user.pk)).order_by("seq")
    return list(events.values_list("type", "data"))


def event_types(person: Person) -> list[str]:
    """Return the types of the events on the stream of a user, the oldest first."""
    return [kind for kind, _ in user_events(person)]


def everything() -> list[Any]:
    """Return all rows of the chat and the log, so that a test can see that nothing changed."""
    tables = (Conversation, Message, Membership, Receipt, LoggedEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def group_of(owner: User, *members: User, title: str = "Crew") -> Conversation:
    """Return a new group."""
    return group_create(owner, title=title, member_ids=[member.pk for member in members])


def new_group_message(
    group: Conversation, sender: User, content: str = "Ahoy", **more: Any
) -> Message:
    """Return a message that was sent to a group."""
    to_group = Draft(sender.pk, None, content, conversation_id=group.pk, **more)
    return message_send(to_group).message


def users(count: int) -> list[User]:
    """Return that many new users without sessions, which makes them cheap."""
    start = User.objects.count()
    return User.objects.bulk_create(
        User(name=f"Sailor {n}", email=f"sailor{n}@example.com")
        for n in range(start, start + count)
    )


def group_events(group: Conversation) -> list[tuple[str, Any]]:
    """Return type and data of the events on the stream of a group, the oldest first."""
    events = LoggedEvent.objects.filter(stream=CONVERSATION.name(group.pk)).order_by("seq")
    return list(events.values_list("type", "data"))
