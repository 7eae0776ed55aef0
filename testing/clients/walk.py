"""A Python client that is generated from openapi.yaml logs in, posts, pages, chats and reads
errors: python walk.py URL, with the generated package on the PYTHONPATH."""

import sys
from typing import TypeVar
from uuid import uuid4

from parley_api import AuthenticatedClient, Client
from parley_api.api.auth import auth_login, auth_profile, auth_register, auth_ws_ticket
from parley_api.api.messages import messages_create, messages_list, messages_read, messages_unread
from parley_api.api.posts import (
    posts_create,
    posts_list,
    posts_partial_update,
    posts_publish,
    posts_retrieve,
    posts_update,
)
from parley_api.api.server import health, ready
from parley_api.models import (
    Error,
    ErrorCode,
    LoginInput,
    MessageInput,
    MessageStatus,
    PostChangeInput,
    PostInput,
    PostStatus,
    ReadConversationInput,
    ReadMessagesInput,
    RegisterInput,
)

PASSWORD = "correct horse 9"  # noqa: S105

T = TypeVar("T")


def body(parsed: T | Error | None) -> T:
    """Return the body of a success; fail for a refusal."""
    assert parsed is not None
    assert not isinstance(parsed, Error), f"Refused: {parsed.code} {parsed.message}"
    return parsed


def refusal(parsed: object) -> Error:
    """Return the refusal; fail for a success."""
    assert isinstance(parsed, Error), "It was not refused"
    return parsed


class User:
    """A user, logged in."""

    def __init__(self, url: str, name: str) -> None:
        email = f"{name.lower()}@python.example.com"
        anonymous = Client(base_url=url)
        newcomer = RegisterInput(name=name, email=email, password=PASSWORD)
        body(auth_register.sync(client=anonymous, body=newcomer))
        credentials = LoginInput(email=email, password=PASSWORD)
        login = body(auth_login.sync(client=anonymous, body=credentials)).data
        self.id = login.user.id
        self.client = AuthenticatedClient(base_url=url, token=login.access_token)


def post(alice: User, bob: User) -> None:
    """Alice publishes three posts, and Bob pages through them."""
    for title in ("Low tide", "Night ferry", "Harbour lights"):
        draft = PostInput(title=title, content="The boats come home one by one.")
        made = body(posts_create.sync(client=alice.client, body=draft)).data
        published = body(posts_publish.sync(str(made.id), client=alice.client)).data
        assert published.status is PostStatus.PUBLISHED
    titles: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = body(posts_list.sync(client=bob.client, author_id=alice.id, limit=2, cursor=cursor))
        titles += [one.title for one in page.data]
        cursor = page.pagination.next_cursor
    assert titles == ["Harbour lights", "Night ferry", "Low tide"]


def change(alice: User) -> None:
    """Alice changes a post, and not again with the ETag of before."""
    page = body(posts_list.sync(client=alice.client, author_id=alice.id, limit=1))
    newest = str(page.data[0].id)
    etag = posts_retrieve.sync_detailed(newest, client=alice.client).headers["ETag"]
    sea, night = PostChangeInput(tags=["sea"]), PostChangeInput(tags=["night"])
    body(posts_partial_update.sync(newest, client=alice.client, body=sea, if_match=etag))
    stale = posts_update.sync(newest, client=alice.client, body=night, if_match=etag)
    assert refusal(stale).code is ErrorCode.PRECONDITION_FAILED


def chat(alice: User, bob: User) -> None:
    """Alice writes to Bob, who reads it."""
    hello = MessageInput(receiver_id=bob.id, content="Hello, Bob!", client_id="walk-1")
    sent = body(messages_create.sync(client=alice.client, body=hello)).data
    assert body(messages_create.sync(client=alice.client, body=hello)).data.id == sent.id
    assert body(messages_unread.sync(client=bob.client)).data.total == 1
    up_to = ReadConversationInput(conversation_id=sent.conversation_id, up_to=sent.seq)
    assert body(messages_read.sync(client=bob.client, body=up_to)).data.updated == 1
    by_id = ReadMessagesInput(message_ids=[sent.id])
    assert body(messages_read.sync(client=bob.client, body=by_id)).data.updated == 0
    page = body(messages_list.sync(client=alice.client, user_id=bob.id))
    assert page.data[0].status is MessageStatus.READ
    assert body(auth_ws_ticket.sync(client=alice.client)).data.ticket


def errors(alice: User, anonymous: Client) -> None:
    """Refusals come as errors, with their codes and fields."""
    draft = PostInput(title="No", content="Short")
    invalid = refusal(posts_create.sync(client=alice.client, body=draft))
    assert invalid.code is ErrorCode.VALIDATION_ERROR
    assert isinstance(invalid.errors, list)
    assert [one.field for one in invalid.errors] == ["title", "content"]
    missing = posts_retrieve.sync(str(uuid4()), client=alice.client)
    assert refusal(missing).code is ErrorCode.NOT_FOUND
    unknown = LoginInput(email="nobody@example.com", password=PASSWORD)
    login = auth_login.sync(client=anonymous, body=unknown)
    assert refusal(login).code is ErrorCode.UNAUTHORIZED
    wrong = AuthenticatedClient(base_url=alice.client._base_url, token="no-token")  # noqa: S106
    assert refusal(auth_profile.sync(client=wrong)).code is ErrorCode.UNAUTHORIZED


def walk(url: str) -> None:
    """Do it all at a server."""
    anonymous = Client(base_url=url)
    alice, bob = User(url, "Alice"), User(url, "Bob")
    post(alice, bob)
    change(alice)
    chat(alice, bob)
    errors(alice, anonymous)
    assert body(health.sync(client=anonymous)).status.value == "ok"
    assert body(ready.sync(client=anonymous)).migrations.value == "applied"


if __name__ == "__main__":
    walk(sys.argv[1])
