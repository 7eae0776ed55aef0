"""A server with life in it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.errors import EmailTaken
from apps.accounts.logins import user_register
from apps.accounts.models import User
from apps.accounts.sessions import Device
from apps.chat.models import Membership
from apps.chat.receipts import messages_mark_read
from apps.chat.services import Draft, messages_send
from apps.posts.models import Post
from apps.posts.services import post_create

PASSWORD = "parley-demo-2026"  # noqa: S105

PEOPLE = ("Ada", "Bela", "Chidi", "Dana", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas")
TOPICS = (
    ("Why we moved to one process", "Fewer parts fail less often, and each failure says its name."),
    ("Notes on reading a log", "An event that has a number can be asked for again. That is all."),
    ("A bridge over a quiet river", "We walked there twice before anybody spoke of the weather."),
    ("Bread, and what it teaches", "Wait longer than you think, and heat it more than you dare."),
    ("Five small tools", "None of them is clever, and I would not want to work without one."),
)
LINES = (
    "Did you read the one about the log?",
    "I did, twice. The second time aloud.",
    "And?",
    "I will try it on Monday.",
    "Tell me how it went!",
    "It went well. See you at six?",
)


class Command(BaseCommand):
    """Makes people, posts and conversations through the services; a second run adds nothing."""

    help = "Fill the database with people, posts and conversations, and say how to log in as them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is not there yet and print who there is."""
        if settings.APP_ENV == "production":
            raise CommandError("The password of these people is public: not in production.")
        people = [_person(name) for name in PEOPLE]
        posts = sum(_posts_of(person, number) for number, person in enumerate(people))
        messages = sum(
            _conversation(people[one], people[other])
            for one in range(len(people))
            for other in (one + 1, one + 3)
            if other < len(people)
        )
        self.stdout.write(f"Added {posts} posts and {messages} messages of {len(people)} people.")
        self.stdout.write(f"Log in as any of them with the password {PASSWORD}")
        for person in people:
            self.stdout.write(f"  {person.email}")


def _person(name: str) -> User:
    email = f"{name.lower()}@demo.example"
    try:
        return user_register(
            name=name, email=email, password=PASSWORD, device=Device("127.0.0.1", "demo")
        ).user
    except EmailTaken:
        return User.objects.get(email=email)


def _posts_of(author: User, number: int) -> int:
    if Post.objects.filter(author=author).exists():
        return 0
    for (title, content), status in zip(
        TOPICS, ("published", "published", "published", "draft", "published"), strict=True
    ):
        post_create(
            author=author,
            title=f"{title}, part {number + 1}",
            content=content,
            status=status,
            tags=["demo", author.name.lower()],
        )
    return len(TOPICS)


def _conversation(one: User, other: User) -> int:
    """Have two people talk; the last line stays unread."""
    if Membership.objects.filter(user=one, peer=other).exists():
        return 0
    turns = [(one, other), (other, one)]
    outcomes = messages_send(
        [
            Draft(turns[number % 2][0].pk, turns[number % 2][1].pk, line)
            for number, line in enumerate(LINES)
        ]
    )
    membership = Membership.objects.get(user=one, peer=other)
    for reader in (one, other):
        messages_mark_read(
            reader_id=reader.pk,
            conversation_id=membership.conversation_id,
            up_to=len(LINES) - 1,
        )
    return len(outcomes)
