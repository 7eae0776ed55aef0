"""A copy of all that is kept of a user, and its erasure, from every table and after a restore."""

import errno
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from apps.accounts import erasing
from apps.accounts import erasure_log as erasure_log_module
from apps.accounts.erasure_log import digest_of, erasure_log, noting
from apps.accounts.models import Session, User
from apps.accounts.relations import user_block, user_follow
from apps.accounts.remains import remains_of
from apps.accounts.statuses import user_set_status
from apps.accounts.tests.people import Person, person
from apps.chat.groups import group_create
from apps.chat.models import Conversation, DeliveryCursor, Membership, Message, Receipt
from apps.chat.services import Draft, message_send
from apps.chat.tests.factories import new_message
from apps.core.features import personal_data
from apps.notifications.services import Group, notify
from apps.notifications.tests.push_service import Browser
from apps.posts.models import Post
from apps.posts.services import post_create, post_delete
from apps.posts.view_counts import views_save
from apps.realtime import closing
from apps.realtime.models import LastSeen, LoggedEvent, Stream
from apps.realtime.tests.factories import new_timeline
from config import user_export
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def ada(bob: Person, carol: Person, moderator: Person) -> Person:
    """A user who has left something in every table."""
    ada = person("Ada")
    ada.another_device()
    user_follow(ada.user, user_id=bob.user.pk)
    user_follow(carol.user, user_id=ada.user.pk)
    user_block(ada.user, user_id=moderator.user.pk)
    user_block(moderator.user, user_id=ada.user.pk)
    new_message(ada, bob, "Adas words", client_id="one")
    new_message(bob, ada, "Bobs words")
    deleted = new_message(ada, carol, "Adas deleted words")
    ada.delete(f"/messages/{deleted.pk}")
    group = group_create(ada.user, title="Sailors", member_ids=[bob.user.pk, carol.user.pk])
    message_send(Draft(ada.user.pk, None, "Adas words to all", conversation_id=group.pk))
    message_send(Draft(bob.user.pk, None, "Bobs words to all", conversation_id=group.pk))
    group_create(ada.user, title="Alone", member_ids=[])
    ada.post("/auth/password/change", **{"Idempotency-Key": "hers"})
    bob.post(
        "/messages",
        {"receiverId": ada.id, "content": "Kept answer"},
        **{"Idempotency-Key": "his"},
    )
    ada.post("/auth/ws-ticket")
    at = timezone.now()
    LastSeen.objects.create(user=ada.user, at=at)
    new_timeline(ada.user)
    DeliveryCursor.objects.create(user=ada.user, seq=1)
    Receipt.objects.create(
        conversation=group, user=ada.user, kind="read", first_seq=2, last_seq=2, at=at
    )
    mine = post_create(ada.user, title="Adas post", content="Adas thoughts", status="published")
    gone = post_create(ada.user, title="Adas other post", content="Adas doubts")
    post_delete(moderator.user, post_id=gone.pk)
    other = post_create(bob.user, title="Bobs post", content="Bobs thoughts", status="published")
    views_save([(other.pk, ada.id, at), (mine.pk, bob.id, at)])
    with transaction.atomic():
        told = {"category": "posts", "type": "test", "title": "Adas news"}
        news = Group("ada", lambda count: f"{count} news of Ada")
        notify([bob.user.pk], actor=ada.user, data={"author": ada.id}, key="one", **told)
        notify([ada.user.pk], actor=bob.user, key="two", group=news, **told)
    ada.put("/notifications/preferences", {"digest": "daily"})
    ada.post("/notifications/push-subscriptions", Browser("adas").subscription)
    user_set_status(moderator.user, user=ada.user, status="suspended")
    user_set_status(moderator.user, user=ada.user, status="active")
    return ada


def erase(who: str, **options: Any) -> str:
    output = StringIO()
    call_command("erase_user", who, stdout=output, **{"ask": False, **options})
    return output.getvalue()


def test_every_reference_to_a_user_is_declared_by_a_feature() -> None:
    """A model that refers to users is exported and erased, or this fails: see PersonalData."""
    users = get_user_model()
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        if field.related_model is users
    }
    assert found == {field for data in personal_data() for field in data.fields}


def test_an_erased_user_is_found_in_no_table(ada: Person) -> None:
    assert remains_of(ada.user.pk, ada.user.email)
    said = erase("ada@example.com")
    assert "found in no table" in said
    assert remains_of(ada.user.pk, ada.user.email) == {}
    assert remains_of(ada.user.pk, "Adas ") == {}
    assert ada.get("/auth/profile").status_code == 401
    assert digest_of(ada.user.pk) in said
    assert erasure_log().stat().st_mode & 0o777 == 0o600
    assert ada.id not in erasure_log().read_text()


def test_others_keep_their_conversations_and_posts(ada: Person, bob: Person, carol: Person) -> None:
    before = set(Message.objects.exclude(sender=ada.user).values_list("pk", "content", "seq"))
    numbers = sorted(Message.objects.values_list("conversation", "seq"))
    erase(ada.id)
    after = Message.objects.exclude(sender__name="Erased user")
    assert set(after.values_list("pk", "content", "seq")) == before
    assert sorted(Message.objects.values_list("conversation", "seq")) == numbers
    [direct] = Conversation.objects.filter(kind="direct", memberships__user=bob.user).distinct()
    other = direct.other(bob.user.pk)
    assert other is not None
    assert (other.name, other.is_active) == ("Erased user", False)
    # The group has an owner again, the member of the longest time, and the right size.
    sailors = Conversation.objects.get(title="Sailors")
    assert sailors.member_count == sailors.memberships.count() == 2
    assert Membership.objects.get(conversation=sailors, role="owner").user in {
        bob.user,
        carol.user,
    }
    listed = bob.get("/messages/conversations").json()["data"]
    assert "Erased user" in json.dumps(listed)
    assert bob.post("/messages", {"receiverId": str(other.pk), "content": "?"}).status_code == 404
    assert Post.objects.get().title == "Bobs post"
    assert LogEntry.objects.exists()


def test_clients_of_others_fetch_again(ada: Person, bob: Person) -> None:
    """Events of others that name the user are gone, so their streams begin a new epoch."""
    name = f"user.{bob.id}"
    epoch = Stream.objects.get(name=name).epoch
    erase(ada.id)
    assert Stream.objects.get(name=name).epoch != epoch
    assert not Stream.objects.filter(name__contains=ada.id).exists()
    assert not LoggedEvent.objects.filter(stream=f"user.{ada.id}").exists()


def test_an_erasure_that_is_interrupted_is_finished_by_the_next(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def interrupted() -> Any:
        calls.append(1)
        [first, *rest] = personal_data()
        if len(calls) == 1:
            return iter([first, *rest[:1], None])
        return [first, *rest]

    monkeypatch.setattr(erasing, "personal_data", interrupted)
    with pytest.raises(AttributeError):
        erase(ada.id)
    assert User.objects.get(pk=ada.user.pk).status == "banned"
    assert not Session.objects.filter(user=ada.user, ended_at=None).exists()
    erase("ada@example.com")
    assert remains_of(ada.user.pk, ada.user.email) == {}


def test_a_restored_backup_does_not_bring_an_erased_user_back(ada: Person, tmp_path: Path) -> None:
    backup = tmp_path / "backup.zip"
    call_command("backup", str(backup), verbosity=0)
    erase(ada.id)
    output = StringIO()
    call_command("restore", str(backup), force=True, ask=False, stdout=output)
    assert "1 users who were erased are erased again." in output.getvalue()
    assert remains_of(ada.user.pk, ada.user.email) == {}
    assert User.objects.filter(name="Bob").exists()


def test_an_address_in_the_words_of_others_is_told(ada: Person, bob: Person, carol: Person) -> None:
    new_message(bob, carol, "Write to ada@example.com")
    with pytest.raises(CommandError, match=r"still found in .* rows of chat.Message.content"):
        erase(ada.id)
    assert not User.objects.filter(pk=ada.user.pk).exists()


def test_nobody_is_erased_without_a_yes(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    before = remains_of(ada.user.pk, ada.user.email)
    with pytest.raises(CommandError, match="--no-input"):
        erase(ada.id, ask=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(CommandError, match="Nothing was changed"):
        erase(ada.id, ask=True)
    with pytest.raises(CommandError, match=r"There is no user nobody@example\.com"):
        erase("nobody@example.com")
    assert remains_of(ada.user.pk, ada.user.email) == before
    assert not erasure_log().exists()


def test_nothing_is_erased_that_the_log_cannot_keep(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = remains_of(ada.user.pk, ada.user.email)
    erasure_log().mkdir()
    with pytest.raises(CommandError, match="nothing was erased"):
        erase(ada.id)
    assert remains_of(ada.user.pk, ada.user.email) == before


def test_a_disk_that_is_full_at_the_end_of_an_erasure_is_not_told_as_if_nothing_was_erased(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, step: str, **__: Any) -> None:
        if step == "done":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(erasure_log_module, "_note", full)
    assert "found in no table" in erase(ada.id)
    assert not User.objects.filter(pk=ada.user.pk).exists()


def test_two_erasures_do_not_run_at_once(ada: Person) -> None:
    before = remains_of(ada.user.pk, ada.user.email)
    with (
        noting(ada.user.pk),
        pytest.raises(CommandError, match=r"Another erasure runs\..*nothing was erased"),
    ):
        erase(ada.id)
    assert remains_of(ada.user.pk, ada.user.email) == before
    erase(ada.id)
    assert User.objects.filter(name="Erased user").count() == 1


def test_a_copy_has_all_that_is_kept_of_a_user(ada: Person, bob: Person, tmp_path: Path) -> None:
    path = tmp_path / "ada.zip"
    call_command("export_user", "ada@example.com", str(path), stdout=StringIO())
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as archive:
        found = {
            name: json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".json")
        }
        assert ada.id in archive.read("README.txt").decode()
    assert found["profile.json"][0]["email"] == "ada@example.com"
    assert len(found["sessions.json"]) == 2
    assert {one["content"] for one in found["messages_sent.json"]} == {
        "Adas words",
        "Adas deleted words",
        "Adas words to all",
    }
    assert "Bobs words to all" in {one["content"] for one in found["messages_received.json"]}
    assert {one["title"] for one in found["posts.json"]} == {"Adas post", "Adas other post"}
    assert found["moderation.json"]
    assert [one["followed_id"] for one in found["following.json"]] == [bob.id]
    assert len(found["followers.json"]) == len(found["blocked.json"]) == 1
    assert found["last_seen.json"]
    assert [one["key"] for one in found["notifications.json"]] == ["two"]
    assert [one["digest"] for one in found["notification_preferences.json"]] == ["daily"]
    assert [one["address"] for one in found["websockets.json"]] == ["203.0.113.0"]
    for secret in (ada.user.password, "jti"):
        assert secret not in json.dumps(found)
    # A file is not overwritten, and nobody else is in it.
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_user", ada.id, str(path))
    with pytest.raises(CommandError, match="There is no user"):
        call_command("export_user", "nobody@example.com")
    assert bob.user.email not in json.dumps(found)


def test_a_copy_is_of_one_moment_and_delays_no_write(
    ada: Person, bob: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob sends a message after each file of the copy is written."""
    write = user_export._write

    def send() -> None:
        new_message(bob, ada, "too late")
        connections.close_all()

    def write_while_bob_writes(*given: Any) -> int:
        count = write(*given)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(send).result()
        return count

    monkeypatch.setattr(user_export, "_write", write_while_bob_writes)
    path = tmp_path / "ada.zip"
    call_command("export_user", ada.id, str(path), stdout=StringIO())
    assert Message.objects.filter(content="too late").count() > 3
    assert b"too late" not in zipfile.ZipFile(path).read("messages_received.json")


@pytest.mark.integration
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="a command cannot tell a server without Redis at once"
)
def test_sockets_of_an_erased_user_close(
    start_server: Callable[..., ServerProcess], ada: Person
) -> None:
    server = start_server()
    with TestSocket(server.url, token=ada.another_device().access) as socket:
        socket.expect("connected")
        erase(ada.id)
        assert socket.closed_with() == closing.SESSION_REVOKED
