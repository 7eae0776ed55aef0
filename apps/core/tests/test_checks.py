"""Every invalid or unsafe setting is reported before the server starts."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.core.checks import CheckMessage
from pytest_django import Settings

from apps.core import redis as core_redis
from apps.core.redis import RedisDown
from config import checks, env
from config.secrets import HOW_TO_MAKE_ONE
from testing.server import run_python

SQLITE = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
A_SECRET, ANOTHER_SECRET = "A secret of this test." * 3, "Another secret of a test." * 3
A_THIRD_SECRET = "A third secret of this test." * 3
POSTGRESQL = {"default": {"ENGINE": "django.db.backends.postgresql"}}


@pytest.fixture
def safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a safe production server.

    All of them are patched by monkeypatch alone: a mixture would not be undone in reverse order.
    """
    monkeypatch.setenv("APP_SECRET_KEY", A_SECRET)
    monkeypatch.setenv("JWT_SECRET", ANOTHER_SECRET)
    monkeypatch.setenv("VAPID_SECRET", A_THIRD_SECRET)
    monkeypatch.setattr(env, "declared", set(env.declared))
    for name, value in SAFE.items():
        monkeypatch.setattr(configured, name, value)


SAFE: dict[str, Any] = {
    "APP_ENV": "production",
    "DEBUG": False,
    "SECRET_KEY": A_SECRET,
    "JWT_SECRET": ANOTHER_SECRET,
    "VAPID_SECRET": A_THIRD_SECRET,
    "ALLOWED_HOSTS": ["chat.example.com"],
    "CORS_ALLOWED_ORIGINS": ["https://app.example.com"],
    "RATE_LIMIT_REQUESTS_PER_SECOND": 100,
    "RATE_LIMIT_BURST": 200,
    "WEBSOCKET_QUERY_TOKEN": False,
    "REDIS_URL": "redis://redis:6379",
    "DATABASES": POSTGRESQL,
    "MAIL_SERVER": env.MailServer("smtp", "mail.example.com"),
    "APP_URL": "https://chat.example.com",
}


def found() -> list[tuple[str | None, str]]:
    """Return the id and the first word of each message; the word is the setting."""
    return [(each.id, each.msg.split(" ", 1)[0]) for each in checks.settings_safe(None)]


def test_safe_settings_give_no_message(safe: None) -> None:
    assert found() == []


def test_the_settings_of_this_run_give_no_serious_message() -> None:
    messages: list[CheckMessage] = [*checks.settings_readable(None), *checks.settings_safe(None)]
    assert [each for each in messages if each.is_serious()] == []


@pytest.mark.parametrize("in_production", [True, False])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"JWT_SECRET": ANOTHER_SECRET[:63]}, ("parley.E002", "JWT_SECRET")),
        ({"JWT_SECRET": A_SECRET}, ("parley.E003", "JWT_SECRET")),
        ({"VAPID_SECRET": A_THIRD_SECRET[:63]}, ("parley.E002", "VAPID_SECRET")),
        ({"VAPID_SECRET": ANOTHER_SECRET}, ("parley.E003", "VAPID_SECRET")),
        ({"CORS_ALLOWED_ORIGINS": ["*"]}, ("parley.E004", "CORS_ALLOWED_ORIGINS")),
        ({"RATE_LIMIT_BURST": 99}, ("parley.W001", "RATE_LIMIT_BURST")),
        ({"DATABASES": SQLITE}, ("parley.W002", "REDIS_URL")),
    ],
)
def test_a_setting_that_is_always_unsafe_is_reported_everywhere(
    safe: None,
    monkeypatch: pytest.MonkeyPatch,
    in_production: bool,
    changes: dict[str, Any],
    message: tuple[str, str],
) -> None:
    monkeypatch.setattr(configured, "APP_ENV", "production" if in_production else "test")
    for name, value in changes.items():
        monkeypatch.setattr(configured, name, value)
    assert found() == [message]


PRODUCTION: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"DEBUG": True}, ("parley.E010", "APP_DEBUG")),
    ({"SECRET_KEY": configured.SAMPLE_SECRET * 2}, ("parley.E012", "APP_SECRET_KEY")),
    ({"JWT_SECRET": configured.SAMPLE_SECRET * 2}, ("parley.E012", "JWT_SECRET")),
    ({"SECRET_KEY": A_SECRET[:63]}, ("parley.E002", "APP_SECRET_KEY")),
    ({"SECRET_KEY": "changeme" * 8}, ("parley.E014", "APP_SECRET_KEY")),
    ({"JWT_SECRET": "changeme" * 8}, ("parley.E014", "JWT_SECRET")),
    ({"VAPID_SECRET": "changeme" * 8}, ("parley.E014", "VAPID_SECRET")),
    ({"ALLOWED_HOSTS": ["a", "*"]}, ("parley.E013", "APP_ALLOWED_HOSTS")),
    ({"REDIS_URL": ""}, ("parley.W010", "DATABASE_URL")),
    ({"MAIL_SERVER": env.MailServer("filebased")}, ("parley.W014", "EMAIL_URL")),
    ({"APP_URL": "http://localhost:8080"}, ("parley.W015", "APP_URL")),
    ({"WEBSOCKET_QUERY_TOKEN": True}, ("parley.W011", "WEBSOCKET_QUERY_TOKEN")),
]


@pytest.mark.parametrize(("changes", "message"), PRODUCTION)
def test_a_setting_that_is_unsafe_in_production_is_reported_only_there(
    safe: None,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: tuple[str, str],
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(configured, name, value)
    assert found() == [message]
    monkeypatch.setattr(configured, "APP_ENV", "development")
    assert found() == []


@pytest.mark.parametrize("name", ["APP_SECRET_KEY", "JWT_SECRET", "VAPID_SECRET"])
def test_production_does_not_generate_secrets(
    safe: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    assert found() == [("parley.E011", name)]


def test_each_message_about_a_secret_gives_a_command_that_makes_a_good_one(
    safe: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, command = HOW_TO_MAKE_ONE.split(" -c ")
    made = run_python("-c", command.strip("'")).stdout.strip()
    for secret in ("", "short", "changeme" * 8, configured.SAMPLE_SECRET * 2, A_SECRET):
        monkeypatch.setenv("JWT_SECRET", secret)
        monkeypatch.setattr(configured, "JWT_SECRET", secret)
        messages = [*checks.settings_safe(None)]
        assert messages
        assert all(HOW_TO_MAKE_ONE in str(message.hint) for message in messages)
    monkeypatch.setattr(configured, "JWT_SECRET", made)
    assert found() == []


def test_every_origin_may_be_allowed_without_cookies(
    safe: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configured, "CORS_ALLOWED_ORIGINS", ["*"])
    monkeypatch.setattr(configured, "CORS_ALLOW_CREDENTIALS", False)
    assert found() == []


def test_each_unreadable_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "problems", [env.Problem("SERVER_PORT", "is 'x'.")])
    (message,) = checks.settings_readable(None)
    assert (message.id, message.msg, message.is_serious()) == (
        "parley.E001",
        "SERVER_PORT is 'x'.",
        True,
    )


@pytest.mark.integration
def test_a_server_with_an_invalid_setting_does_not_start_and_names_it() -> None:
    ended = run_python("manage.py", "serve", SERVER_PORT="eighty", LOG_LEVEL="loud")
    assert ended.returncode != 0
    assert "SERVER_PORT is 'eighty'; use a whole number such as 8080." in ended.stderr
    assert "LOG_LEVEL is 'loud'; use one of debug, info, warning, error." in ended.stderr


@pytest.mark.parametrize(
    ("policy", "messages"),
    [
        ("noeviction", []),
        ("volatile-lru", []),
        ("allkeys-lru", ["parley.W013"]),
        ("allkeys-random", ["parley.W013"]),
        (None, ["parley.W012"]),
    ],
)
def test_a_redis_that_evicts_limits_is_reported(
    safe: None, monkeypatch: pytest.MonkeyPatch, policy: str | None, messages: list[str]
) -> None:
    def answer(*_: Any) -> dict[str, str]:
        if policy is None:
            raise RedisDown
        return {"maxmemory-policy": policy}

    monkeypatch.setattr(core_redis, "with_redis", answer)
    assert [each.id for each in checks.redis_keeps_what_it_is_given(None)] == messages


def test_the_redis_check_makes_no_call_without_redis(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configured, "REDIS_URL", "")
    monkeypatch.setattr(core_redis, "with_redis", None)
    assert checks.redis_keeps_what_it_is_given(None) == []
