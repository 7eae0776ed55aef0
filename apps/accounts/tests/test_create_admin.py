"""manage.py create_admin and create_moderator, with and without a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, set_status
from apps.core.tests.together import together
from testing.server import database_url

pytestmark = pytest.mark.django_db

ADA = {"email": "ada@example.com", "name": "Ada"}


@pytest.fixture(autouse=True)
def _without_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_PASSWORD", PASSWORD)
    monkeypatch.setattr("sys.stdin", StringIO())


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes the operator type these lines at a terminal, one after the other."""

    def type_lines(*lines: str) -> None:
        remaining: Iterator[str] = iter(lines)

        def ask(prompt: str) -> str:
            line = next(remaining, None)
            if line is None:
                raise EOFError
            return line

        monkeypatch.delenv("PARLEY_PASSWORD")
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", ask)
        monkeypatch.setattr("getpass.getpass", ask)

    return type_lines


def run(command: str, **options: Any) -> str:
    """Return what the command prints, its complaints included."""
    output = StringIO()
    call_command(command, stdout=output, stderr=output, **options)
    return output.getvalue()


def admin_page_status(email: str) -> int:
    browser = Client()
    browser.post("/admin/login/", {"username": email, "password": PASSWORD, "next": "/admin/"})
    return browser.get("/admin/").status_code


def rows() -> list[Any]:
    return [
        list(User.objects.order_by("pk").values()),
        list(Session.objects.order_by("pk").values()),
        LogEntry.objects.count(),
    ]


@pytest.mark.parametrize(
    ("command", "role", "words"),
    [
        ("create_admin", User.Role.ADMIN, "an administrator"),
        ("create_moderator", User.Role.MODERATOR, "a moderator"),
    ],
)
def test_ada_gets_a_role_and_is_let_into_the_pages(command: str, role: str, words: str) -> None:
    printed = run(command, email=" Ada@Example.com", name="  Ada ")
    assert f"Ada <ada@example.com> is {words} and may log in" in printed
    ada = User.objects.get()
    assert (ada.email, ada.name, ada.role, ada.status) == ("ada@example.com", "Ada", role, "active")
    assert admin_page_status("ada@example.com") == 200
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(ada.pk))
    assert entry.change_message == f"role: none → {role}, by a command on the server"


def test_operator_types_everything_and_types_again_what_was_wrong(
    typed: Callable[..., None],
) -> None:
    typed(
        *("no address", "ad\u0430@example.com", "ada@example.com"),
        *("A", "Ada"),
        *(PASSWORD, "another horse 7"),
        *("password1", "password1"),
        *("ada@example", "ada@example"),
        *(PASSWORD, PASSWORD),
    )
    printed = run("create_admin")
    for complaint in (
        "email: Enter a valid email address.",
        "email: Use only ASCII characters before the @.",
        "name: Ensure this field has at least 2 characters.",
        "The passwords are not the same.",
        "password: This password is too common.",
        "password: The password is too similar to the email.",
    ):
        assert complaint in printed
    assert admin_page_status("ada@example.com") == 200


def test_operator_who_stops_typing_changes_nothing(typed: Callable[..., None]) -> None:
    typed("ada@example.com", "Ada")
    with pytest.raises(CommandError, match=r"^Nothing was changed\.$"):
        run("create_admin")
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("options", "password", "sentence"),
    [
        ({"email": "ada"}, PASSWORD, "email: Enter a valid email address."),
        ({"email": "\u0430da@example.com"}, PASSWORD, "email: Use only ASCII characters"),
        ({"name": " "}, PASSWORD, "name: This field may not be blank."),
        ({"name": "A"}, PASSWORD, "name: Ensure this field has at least 2 characters."),
        ({}, "short 1", "password: Ensure this field has at least 8 characters."),
        ({}, "password1", "password: This password is too common."),
        ({}, "ada@example", "password: The password is too similar to the email."),
        ({"promote": True}, PASSWORD, "There is no user ada@example.com"),
    ],
)
def test_what_registering_refuses_makes_nobody(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], password: str, sentence: str
) -> None:
    monkeypatch.setenv("PARLEY_PASSWORD", password)
    with pytest.raises(CommandError) as refusal:
        run("create_admin", **ADA | options)
    assert sentence in str(refusal.value)
    assert refusal.value.returncode == 1
    assert not User.objects.exists()


@pytest.mark.parametrize("missing", ["email", "name", "password"])
def test_command_without_a_terminal_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "password":
        monkeypatch.delenv("PARLEY_PASSWORD")
    given = {name: value for name, value in ADA.items() if name != missing}
    with pytest.raises(CommandError, match="--password-stdin") as refusal:
        run("create_admin", **given)
    assert refusal.value.returncode == 2
    assert not User.objects.exists()


def test_existing_user_is_promoted_only_with_the_flag(alice: Person) -> None:
    before = rows()
    with pytest.raises(
        CommandError, match="exists already, as a user who registered on"
    ) as refusal:
        run("create_admin", email="ALICE@example.com", name="Alice")
    assert rows() == before
    assert str(refusal.value).endswith("create_admin --email alice@example.com --promote")
    version = alice.user.version
    printed = run("create_admin", email="ALICE@example.com", promote=True)
    assert "Alice <alice@example.com> is an administrator" in printed
    promoted = User.objects.get()
    assert (promoted.role, promoted.version) == (User.Role.ADMIN, version + 1)
    assert alice.get("/auth/profile").json()["data"]["role"] == "admin"
    assert admin_page_status("alice@example.com") == 200
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (promoted, str(promoted.pk))
    assert entry.change_message == "role: user → admin, by a command on the server"


@pytest.mark.parametrize("promote", [True, False])
def test_promotion_never_takes_a_right_away(alice: Person, promote: bool) -> None:
    run("create_admin", email="alice@example.com", promote=True)
    before = rows()
    for command in ("create_admin", "create_moderator"):
        with pytest.raises(CommandError, match=r"an administrator who .* allows as much already"):
            run(command, email="alice@example.com", name="Alice", promote=promote)
    assert rows() == before


@pytest.mark.parametrize("status", [User.Status.SUSPENDED, User.Status.BANNED, User.Status.PENDING])
def test_user_who_may_not_log_in_is_not_promoted(alice: Person, status: str) -> None:
    set_status(alice.user, status)
    before = rows()
    with pytest.raises(CommandError, match="may not log in at present; nothing was changed"):
        run("create_moderator", email="alice@example.com", promote=True)
    assert rows() == before


def test_command_of_django_makes_nobody() -> None:
    with pytest.raises(CommandError, match="create_admin"):
        run("createsuperuser")
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_only_one_of_several_commands_at_once_makes_ada() -> None:
    outcomes = together(*[lambda: run("create_admin", **ADA)] * 4)
    refusals = [str(one) for one in outcomes if isinstance(one, CommandError)]
    assert len(refusals) == 3
    assert all("already" in refusal for refusal in refusals)
    assert User.objects.count() == LogEntry.objects.count() == 1


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_password_is_read_from_standard_input_and_exit_codes_tell_the_outcome() -> None:
    command = [sys.executable, "manage.py", "create_admin", "--password-stdin"]
    ada = [*command, "--email=ada@example.com", "--name=Ada"]

    def outcome(arguments: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            arguments,
            cwd=settings.BASE_DIR,
            env=environment(),
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, printed = outcome(ada)
    assert (code, printed.count("\n")) == (0, 1), printed
    assert admin_page_status("ada@example.com") == 200
    code, printed = outcome(ada)
    assert (code, printed.count("\n")) == (1, 1), printed
    assert outcome(command)[0] == 2
    assert User.objects.count() == 1


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_terminal_does_not_show_the_password() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "manage.py", "create_admin"],
        cwd=settings.BASE_DIR,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = ""
        for prompt, line in [
            ("E-mail address: ", "ada@example.com"),
            ("Name: ", "Ada"),
            ("Password: ", PASSWORD),
            ("Password again: ", PASSWORD),
        ]:
            while not shown.endswith(prompt):
                shown += os.read(ours, 1024).decode()
            os.write(ours, f"{line}\n".encode())
        while "may log in" not in shown:
            shown += os.read(ours, 1024).decode()
        assert process.wait(timeout=20) == 0
    os.close(ours)
    assert PASSWORD not in shown
    assert admin_page_status("ada@example.com") == 200


def environment() -> dict[str, str]:
    """Return the environment of a command on the test's database, without a password in it."""
    return {
        **{key: value for key, value in os.environ.items() if key != "PARLEY_PASSWORD"},
        "DJANGO_SETTINGS_MODULE": "config.settings_test",
        "DATABASE_URL": database_url(),
    }
