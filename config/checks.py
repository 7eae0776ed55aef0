"""System checks: they name every wrong or unsafe setting and every wrong endpoint before the server
starts."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution

from apps.core.features import limits
from config import env
from config.secrets import HOW_TO_MAKE_ONE, SECRET_BYTES, is_repetitive, signing_secrets

MAKE_ONE = f"Make one with: {HOW_TO_MAKE_ONE}"


@register()
def settings_readable(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Report the variables that could not be read."""
    return [Error(f"{p.name} {p.message}", id="parley.E001") for p in env.problems]


@register()
def settings_safe(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Report settings that are unsafe, and those that work in one process only."""
    return [*_unsafe_anywhere(), *(_unsafe_in_production() if _in_production() else ())]


def _in_production() -> bool:
    return str(settings.APP_ENV) == "production"


def _unsafe_anywhere() -> Iterator[CheckMessage]:
    yield from _weak_secrets()
    if settings.CORS_ALLOW_CREDENTIALS and "*" in settings.CORS_ALLOWED_ORIGINS:
        yield Error(
            "CORS_ALLOWED_ORIGINS is * while CORS_ALLOW_CREDENTIALS is true.",
            hint="Name the origins, such as https://app.example.com.",
            id="parley.E004",
        )
    if settings.SENTRY_DSN and find_spec("sentry_sdk") is None:
        yield Error(
            "SENTRY_DSN is set, but the package sentry-sdk is not installed.",
            hint="Install it with: pip install --require-hashes -r requirements-sentry.txt",
            id="parley.E005",
        )
    if settings.RATE_LIMIT_BURST < settings.RATE_LIMIT_REQUESTS_PER_SECOND:
        yield Caution(
            "RATE_LIMIT_BURST is below RATE_LIMIT_REQUESTS_PER_SECOND.",
            hint="Clients that send a second's worth at once are refused.",
            id="parley.W001",
        )
    if settings.REDIS_URL and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield Caution(
            "REDIS_URL is set, but the database is SQLite.",
            hint="Processes on several machines need DATABASE_URL too.",
            id="parley.W002",
        )

    if settings.REDIS_CLUSTER_URL and not settings.REDIS_URL:
        yield Error(
            "REDIS_CLUSTER_URL is set without REDIS_URL.",
            hint="The cluster carries wake-ups only. Name a Redis for presence and limits.",
            id="parley.E006",
        )


def _weak_secrets() -> Iterator[CheckMessage]:
    used = signing_secrets()
    for name in ("JWT_SECRET", "VAPID_SECRET"):
        yield from _too_short(name, used[name])
    hint = f"Give each its own, so that a leak of one does not open the other. {MAKE_ONE}"
    for (one, secret), (other, another) in combinations(used.items(), 2):
        if secret == another:
            yield Error(f"{other} and {one} are the same.", hint=hint, id="parley.E003")


def _unsafe_in_production() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error("APP_DEBUG is on in production.", hint="Remove it.", id="parley.E010")
    yield from _unsafe_secrets()
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "APP_ALLOWED_HOSTS is * in production.",
            hint="Name the hosts that clients call, such as api.example.com.",
            id="parley.E013",
        )
    if not settings.REDIS_URL and not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield Caution(
            "DATABASE_URL is set without REDIS_URL.",
            hint="Several processes then get each other's events late and limit separately.",
            id="parley.W010",
        )
    if settings.MAIL_SERVER.backend != "smtp":
        yield Caution(
            "EMAIL_URL names no mail server in production: no mail reaches a user.",
            hint="Set it, such as smtp+tls://user:password@mail.example.com:587.",
            id="parley.W014",
        )
    if urlsplit(settings.APP_URL).hostname == "localhost":
        yield Caution(
            "APP_URL is on localhost in production: links in mails lead nowhere.",
            hint="Set it to where users reach the server, such as https://parley.example.com.",
            id="parley.W015",
        )
    if settings.WEBSOCKET_QUERY_TOKEN:
        yield Caution(
            "WEBSOCKET_QUERY_TOKEN is on: proxies in front may log the token in /ws?token=.",
            hint="Have clients use tickets and set it to false.",
            id="parley.W011",
        )


def _unsafe_secrets() -> Iterator[CheckMessage]:
    for name, value in signing_secrets().items():
        if not env.text(name):
            yield Error(
                f"{name} is not set in production.",
                hint=f"Set {name} or {name}_FILE, the same for every process. {MAKE_ONE}",
                id="parley.E011",
            )
        elif settings.SAMPLE_SECRET in value:
            yield Error(f"{name} is the sample secret.", hint=MAKE_ONE, id="parley.E012")
        elif is_repetitive(value):
            yield Error(f"{name} is easy to guess.", hint=MAKE_ONE, id="parley.E014")
    yield from _too_short("APP_SECRET_KEY", settings.SECRET_KEY)


def _too_short(name: str, value: str) -> Iterator[CheckMessage]:
    if len(value.encode()) < SECRET_BYTES:
        yield Error(
            f"{name} is shorter than {SECRET_BYTES} bytes.", hint=MAKE_ONE, id="parley.E002"
        )


@register()
def endpoints_declared(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Report endpoints without a declaration, or with one that does not fit them."""
    from apps.core.http.endpoint_checks import problems
    from config.api import router

    return [Error(each, id="parley.E020") for each in problems(router.urls, limits())]


@register("redis", deploy=True)
def redis_keeps_what_it_is_given(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[CheckMessage]:
    """Warn of a Redis that evicts keys which have not expired, such as limits and presence."""
    from apps.core.redis import RedisDown, with_redis

    if not settings.REDIS_URL:
        return []
    try:
        policy = with_redis("main", lambda c: c.config_get("maxmemory-policy"))["maxmemory-policy"]
    except (RedisDown, KeyError):
        return [Caution("Redis cannot be asked for its maxmemory-policy.", id="parley.W012")]
    if policy.startswith("allkeys"):
        return [
            Caution(
                f"Redis evicts any key ({policy}).",
                hint="Use noeviction: rate limits and presence live there.",
                id="parley.W013",
            )
        ]
    return []
