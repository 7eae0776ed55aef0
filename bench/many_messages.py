"""Fill a migrated database of either kind with messages: python -m bench.many_messages COUNT.

The rows are written as a restore writes them. Half of the messages are as old as the event log goes
back, and have the events of their two users.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import django

USERS = 2_000
# Each user writes to so many others.
PARTNERS = 5
YEAR = timedelta(days=365)
BEGAN = datetime.now(UTC) - YEAR


def fill(count: int) -> None:
    """Store so many messages, with their users, conversations, memberships and events."""
    from config.backup.rows import in_chunks, rows_of_database
    from config.backup.tables import applied_migrations, tables_after

    rows = rows_of_database()
    with rows.replacing():
        tables = {table.name: table for table in tables_after(applied_migrations())}
        for name, made in {
            "accounts_user": users(),
            "chat_conversation": conversations(count),
            "chat_membership": memberships(count),
            "chat_message": messages(count),
            "realtime_stream": streams(count),
            "realtime_event": events(count),
        }.items():
            table = tables[name]
            defaults = {
                column: "" if _is_text(kind) else "\\N" for column, kind in table.columns.items()
            }
            lines = ("\t".join(({**defaults, **row}).values()) + "\n" for row in made)
            rows.write(table, in_chunks(line.encode() for line in lines))


def _is_text(kind: str) -> bool:
    return kind.startswith(("varchar", "text"))


Row = dict[str, str]


def users() -> Iterator[Row]:
    """Yield the rows of all users."""
    for number in range(USERS):
        yield {
            "id": _id(1, number),
            "name": f"User {number}",
            "email": f"user{number}@example.com",
            "password": "!",
            "email_verified": "f",
            "role": "user",
            "status": "active",
            "version": "1",
            "created_at": _text(BEGAN),
            "updated_at": _text(BEGAN),
        }


def conversations(count: int) -> Iterator[Row]:
    """Yield the rows of all conversations."""
    for number in range(USERS * PARTNERS):
        first, second = pair(number)
        yield {
            "id": _id(2, number),
            "kind": "direct",
            "first_id": _id(1, first),
            "second_id": _id(1, second),
            "last_seq": str(length(number, count)),
            "member_count": "2",
            "last_message_at": _text(BEGAN + YEAR),
        }


def memberships(count: int) -> Iterator[Row]:
    """Yield the rows of all memberships."""
    for number in range(USERS * PARTNERS):
        last = str(length(number, count))
        for side, user in enumerate(pair(number)):
            yield {
                "id": _id(3, number * 2 + side),
                "conversation_id": _id(2, number),
                "user_id": _id(1, user),
                "role": "member",
                "joined_seq": "0",
                "joined_event": "0",
                "read_seq": last,
                "delivered_seq": last,
                "incoming_seq": last,
                "last_message_at": _text(BEGAN + YEAR),
            }


def messages(count: int) -> Iterator[Row]:
    """Yield the rows of all messages, which go round all conversations."""
    for number in range(count):
        yield {
            "id": _id(4, number, number / count),
            "conversation_id": _id(2, number % (USERS * PARTNERS)),
            "seq": str(number // (USERS * PARTNERS) + 1),
            "sender_id": _id(1, sides(number)[0]),
            "content": content(number),
            "type": "text",
            "client_id": f"client-{number}",
            "created_at": _text(BEGAN + YEAR * number / count),
            "edited_at": "\\N",
            "deleted_at": "\\N",
        }


def streams(count: int) -> Iterator[Row]:
    """Yield the rows of the streams of all users."""
    heads = dict.fromkeys(range(USERS), 0)
    for number in range(count // 2, count):
        for user in sides(number):
            heads[user] += 1
    for user, head in heads.items():
        yield {"name": f"user.{_id(1, user)}", "head": str(head), "epoch": "0123456789ab"}


def events(count: int) -> Iterator[Row]:
    """Yield the rows of both events of the later half of the messages."""
    heads = dict.fromkeys(range(USERS), 0)
    for number in range(count // 2, count):
        message = _id(4, number, number / count)
        about = [
            {"id": _id(1, user), "name": f"User {user}", "role": "user", "avatarUrl": ""}
            for user in sides(number)
        ]
        data = json.dumps(
            {
                "message": {
                    "id": message,
                    "conversationId": _id(2, number % (USERS * PARTNERS)),
                    "content": content(number),
                    "createdAt": _text(BEGAN),
                    "sender": about[0],
                    "receiver": about[1],
                }
            }
        ).replace("\\", "\\\\")
        for user, kind in zip(sides(number), ("chat_message_sent", "chat_message"), strict=True):
            heads[user] += 1
            yield {
                "id": str(2 * number + (kind == "chat_message")),
                "stream": f"user.{_id(1, user)}",
                "seq": str(heads[user]),
                "type": kind,
                "data": data,
                "size": str(len(data)),
                "subject": message,
                "created_at": _text(BEGAN + YEAR),
            }


def pair(conversation: int) -> tuple[int, int]:
    """Return the numbers of the users of a conversation, the smaller first."""
    one, step = conversation % USERS, conversation // USERS + 1
    other = (one + step) % USERS
    return min(one, other), max(one, other)


def sides(message: int) -> tuple[int, int]:
    """Return the numbers of the sender and the receiver of a message."""
    first, second = pair(message % (USERS * PARTNERS))
    return (first, second) if message % 3 else (second, first)


def length(conversation: int, count: int) -> int:
    """Return how many messages a conversation has."""
    return len(range(conversation, count, USERS * PARTNERS))


def content(message: int) -> str:
    """Return the text of a message, with what needs care in a column of text."""
    return f"Ahoy {message}: a message of forty characters \N{SAILBOAT} or so, more\\\\n, or\\tless"


def _id(kind: int, number: int, age: float = 0) -> str:
    """Return the id of a row: of a message one of version 7, of others one like it."""
    at = int((BEGAN + YEAR * age).timestamp() * 1000)
    return str(UUID(int=at << 80 | 0x7 << 76 | kind << 64 | 0b10 << 62 | number))


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S+00")


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]))
