"""docs/architecture.md is true of the folders, and leads to the files of twenty typical tasks."""

import re
from collections.abc import Iterable

import pytest
from django.conf import settings

from config.tests.pages import DOCS

PAGE = (DOCS / "architecture.md").read_text()
TASKS = re.findall(
    r"^\| \d+ \| (.+) \|$", (settings.BASE_DIR / "CONTRIBUTING.md").read_text(), re.MULTILINE
)
# What has to be edited, or read, for each task: a file, and what stands in it at that place.
ANSWERS = {
    "How long is a refresh token good for by default?": [
        ("config/settings.py", "JWT_REFRESH_EXPIRY")
    ],
    "How do posts get one more field, which clients can read and write?": [
        ("apps/posts/models.py", "class Post("),
        ("apps/posts/serializers.py", "class PostInput("),
        ("apps/posts/serializers.py", "class PostOutput("),
    ],
    "May a moderator change the post of another user?": [
        ("apps/posts/policies.py", "def may_edit(")
    ],
    "What does a removed member of a group still receive?": [
        ("apps/chat/events.py", "readers=group_readers"),
        ("apps/chat/selectors.py", "def group_readers("),
    ],
    "Why was a socket closed with 4408?": [
        ("apps/realtime/closing.py", "SLOW_READER = 4408"),
        ("apps/realtime/outbox.py", "closing.SLOW_READER"),
    ],
    "Which sentence refuses to delete the post of another user?": [
        ("apps/posts/errors.py", "class NotYourPostToDelete(")
    ],
    "How many posts may a user write in a minute?": [("apps/posts/feature.py", '"create_post"')],
    "How many posts are on a page if the client does not say?": [
        ("apps/posts/views.py", "per_page=")
    ],
    "How does `chat_delete` say who deleted the message?": [
        ("apps/chat/events.py", '"chat_delete"'),
        ("apps/chat/serializers.py", "class MessageDeletedPayload("),
    ],
    "How does the chat get one more command of the websocket?": [
        ("apps/chat/commands.py", "@command(")
    ],
    "How many frames may a client send in a second?": [
        ("apps/realtime/transport.py", "FRAMES = Limit(")
    ],
    "How does the admin's list of users get one more column?": [
        ("apps/accounts/admin.py", "list_display")
    ],
    "With which parameters are passwords hashed?": [
        ("apps/accounts/passwords.py", "memory_cost =")
    ],
    "In which threads does a request run, and how many are there?": [
        ("config/thread_pools.py", "def pool_of(")
    ],
    "What does `/health` tell, and how does it get one more field?": [
        ("config/health.py", '"/health"')
    ],
    "For how long is the response to an `Idempotency-Key` kept?": [
        ("apps/core/http/idempotency.py", "KEPT_FOR =")
    ],
    "Why does an event reach the sockets of another process late?": [
        ("apps/realtime/relay.py", "class Relay")
    ],
    "How does an unsafe setting stop the server from starting?": [
        ("config/checks.py", "@register")
    ],
    "How does every response of the API get one more header?": [
        ("apps/core/http/middleware.py", "class ApiHeaders")
    ],
    "How do tests get one more named user?": [("conftest.py", "def carol(")],
}


def named(page: str) -> set[str]:
    """Return the files and folders that a page names, each with its words in angle brackets."""
    names = re.findall(r"[\w.<>/-]*[\w>](?:\.(?:py|md|yaml|json|example)\b|/(?=`))", page)
    # The address of a link is relative to the page, and tested with the other links.
    return {name for name in names if not name.startswith("../")}


def matches(name: str, path: str) -> bool:
    """Return whether a path is the one that is named, words in angle brackets being any names."""
    parts = re.split(r"<\w+>", name)
    return re.fullmatch(r"[^/]+".join(map(re.escape, parts)), path) is not None


def missing(names: Iterable[str]) -> set[str]:
    """Return the names that no file or folder has. One without a folder may be in each app."""
    patterns = {name: re.sub(r"<\w+>", "*", name).rstrip("/") for name in names}
    places = ("", "apps/*/")
    return {
        name
        for name, pattern in patterns.items()
        if not any(
            any(settings.BASE_DIR.glob(place + pattern))
            for place in (places if "/" not in pattern else places[:1])
        )
    }


def test_everything_that_the_page_names_is_there() -> None:
    assert {"config/asgi.py", "apps/<app>/views.py", "handshake.py", "testing/"} <= named(PAGE)
    assert missing(named(PAGE)) == set()


def test_a_file_that_was_renamed_is_missed() -> None:
    names = named("`apps/<app>/gone.py`, `config/asgi.py`, gone.py and `gone/`")
    assert missing(names) == {"apps/<app>/gone.py", "gone.py", "gone/"}


def test_twenty_tasks_are_listed_and_each_has_its_answer_here() -> None:
    assert len(TASKS) == 20
    assert set(TASKS) == set(ANSWERS)


@pytest.mark.parametrize("task", ANSWERS)
def test_the_page_leads_to_the_files_of_a_task(task: str) -> None:
    for path, text in ANSWERS[task]:
        assert text in (settings.BASE_DIR / path).read_text()
        assert any(matches(name, path) for name in named(PAGE)), f"The page names no {path}."


def test_a_file_of_the_same_folder_is_not_found_by_a_name_that_is_not_its_own() -> None:
    assert matches("apps/<app>/models.py", "apps/posts/models.py")
    assert not matches("apps/<app>/models.py", "apps/posts/slugs.py")
    assert not matches("apps/", "apps/posts/slugs.py")
