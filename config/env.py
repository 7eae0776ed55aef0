"""Typed readers of the environment.

A value that cannot be read does not stop the import of the settings: the reader returns the default
and keeps the problem for the system checks, which name all problems before the server starts.
"""

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from dotenv import load_dotenv

from apps.core.private import private_file, restrict_file
from config.secrets import kept_secret, new_secret

BASE_DIR = Path(__file__).resolve().parent.parent

# Options of libpq. Without them a connection whose other end is gone without a word, as after a
# network failure, holds its thread for a quarter of an hour or longer.
KEEPALIVE_OPTIONS = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "15000",
}
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# How a SQLite database begins (sqlite.org/fileformat, "The Database Header").
SQLITE = b"SQLite format 3\0"
# SQLite has no value for "without limit"; this is a week, in seconds.
FOREVER = 7 * 24 * 3600


@dataclass(frozen=True)
class Problem:
    """A setting that cannot be used, with what to do about it."""

    name: str
    message: str


problems: list[Problem] = []
declared: set[str] = set()

# The environment without .env. A process that takes another one's place gets it, so that it reads
# .env as it is by then.
OWN_ENVIRONMENT = dict(os.environ)
# A test run must not depend on a developer's own .env file. A ${ in it stands for itself.
if os.environ.get("APP_ENV") != "test":
    try:
        load_dotenv(BASE_DIR / ".env", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(".env", f"cannot be read ({error})."))


def text(name: str, default: str = "", *, one_of: Sequence[str] = ()) -> str:
    """Return the variable, or the content of the file that NAME_FILE points to, or the default."""
    declared.add(name)
    value = os.environ.get(name, "")
    path = os.environ.get(f"{name}_FILE", "")
    if not value and path:
        try:
            value = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            _report(f"{name}_FILE", f"names a file that cannot be read ({error}).")
    if value and one_of and value not in one_of:
        _report(name, f"is {value!r}; use one of {', '.join(one_of)}.")
        return default
    return value or default


def integer(name: str, default: int, *, at_least: int = 0, at_most: int = 2**31) -> int:
    """Return the variable as a whole number between the two bounds."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        _report(name, f"is {value!r}; use a whole number such as {default}.")
        return default
    if not at_least <= number <= at_most:
        _report(name, f"is {number}; use a number from {at_least} to {at_most}.")
        return default
    return number


def boolean(name: str, default: bool) -> bool:
    """Return the variable as a truth value: true, yes, on, 1 or false, no, off, 0."""
    value = text(name).lower()
    if value in {"true", "yes", "on", "1"}:
        return True
    if value in {"false", "no", "off", "0"}:
        return False
    if value:
        _report(name, f"is {value!r}; use true or false.")
    return default


def words(name: str, default: str = "") -> list[str]:
    """Return the variable split at its commas, blanks dropped."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret(name: str, kept_in: Path) -> str:
    """Return the variable, or a random secret that is kept in the file."""
    given = text(name)
    if given:
        return given
    try:
        return kept_secret(kept_in)
    except OSError as error:
        _report(name, f"is not set, and none can be kept in {kept_in} ({error}). Set {name}.")
        return new_secret()


def database(
    default_path: Path, *, connect_timeout: int, lock_timeout: int, prepare: bool = True
) -> dict[str, Any]:
    """Return Django's settings of the database that DATABASE_URL or DB_HOST names, else SQLite.

    The time-outs are in seconds, 0 for none. The one of locks is for SQLite only: PostgreSQL gets
    it from config/limits.py. `prepare` is whether statements may stay prepared in a connection to
    PostgreSQL, which apps/core/db/prepared.py then does at their first use.
    """
    url = text("DATABASE_URL")
    parts = {
        "HOST": text("DB_HOST"),
        "PORT": str(integer("DB_PORT", 5432, at_least=1, at_most=65535)),
        "USER": text("DB_USER", "parley"),
        "PASSWORD": text("DB_PASSWORD"),
        "NAME": text("DB_NAME", "parley"),
    }
    options: dict[str, Any] = {
        "sslmode": text("DB_SSLMODE", "prefer", one_of=SSLMODES),
        "connect_timeout": str(connect_timeout),
        "prepare_threshold": 0 if prepare else None,
        **KEEPALIVE_OPTIONS,
    }
    if url:
        split = _split(url)
        if split and split.scheme == "sqlite" and split.path:
            path = Path(unquote(split.path))
            if not _is_something_else(path):
                return _sqlite(path, lock_timeout)
            _report("DATABASE_URL", f"names {path}, which is no SQLite database.")
            return _sqlite(default_path, lock_timeout)
        if not split or split.scheme not in {"postgres", "postgresql"} or len(split.path) < 2:
            wanted = "postgresql://user:password@host:port/name"
            _report("DATABASE_URL", f"is not of the form {wanted}.")
            return _sqlite(default_path, lock_timeout)
        parts = {
            "HOST": unquote(split.hostname or ""),
            "PORT": str(split.port or 5432),
            "USER": unquote(split.username or ""),
            "PASSWORD": unquote(split.password or ""),
            "NAME": unquote(split.path[1:]),
        }
        options.update(parse_qsl(split.query))
    elif not parts["HOST"]:
        return _sqlite(default_path, lock_timeout)
    return {"ENGINE": "apps.core.db.postgresql", "OPTIONS": options, **parts}


def redis_url() -> str:
    """Return REDIS_URL, or one made of REDIS_HOST, REDIS_PORT and REDIS_PASSWORD; in either case
    without a database number."""
    url = text("REDIS_URL")
    host = text("REDIS_HOST")
    port = integer("REDIS_PORT", 6379, at_least=1, at_most=65535)
    password = text("REDIS_PASSWORD")
    if url:
        return _redis_address("REDIS_URL", url)
    if not host:
        return ""
    login = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{host}:{port}"


def redis_cluster_url() -> str:
    """Return REDIS_CLUSTER_URL, without a database number, which a cluster does not have."""
    url = text("REDIS_CLUSTER_URL")
    return _redis_address("REDIS_CLUSTER_URL", url) if url else ""


def _redis_address(name: str, url: str) -> str:
    split = _split(url)
    if not split or split.scheme not in {"redis", "rediss"} or not split.hostname:
        _report(name, "is not of the form redis://:password@host:port.")
        return ""
    return f"{split.scheme}://{split.netloc}"


@dataclass(frozen=True)
class MailServer:
    """Where e-mails are handed over: the name of Django's backend, and for a mail server where it
    is. With `tls` the connection begins with it, with `starttls` it changes to it."""

    backend: str
    host: str = ""
    port: int = 0
    user: str = ""
    # Not shown where settings are.
    password: str = field(default="", repr=False)
    starttls: bool = False
    tls: bool = False


# What takes mails in place of a mail server.
MAIL_BACKENDS = {"file:": "filebased", "console:": "console"}
# The port that each scheme of an address has if the address does not say it.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


def mail_server(name: str, default: str) -> MailServer:
    """Return the mail server that the variable names, or what takes its place."""
    value = text(name, default)
    if value in MAIL_BACKENDS:
        return MailServer(MAIL_BACKENDS[value])
    split = _split(value)
    if not split or split.scheme not in MAIL_PORTS or not split.hostname:
        wanted = "smtp+tls://user:password@host:587 (or smtp:, smtps:), file: or console:"
        _report(name, f"is not of the form {wanted}.")
        return MailServer(MAIL_BACKENDS[default])
    return MailServer(
        backend="smtp",
        host=split.hostname or "",
        port=split.port or MAIL_PORTS[split.scheme],
        user=unquote(split.username or ""),
        password=unquote(split.password or ""),
        starttls=split.scheme == "smtp+tls",
        tls=split.scheme == "smtps",
    )


def web_address(name: str, default: str) -> str:
    """Return the variable as the address of a website, without a slash at its end."""
    value = text(name, default)
    split = _split(value)
    if not split or split.scheme not in {"http", "https"} or not split.hostname or split.query:
        _report(name, "is not of the form https://parley.example.com.")
        return default
    return value.rstrip("/")


def log_file(name: str, default: str, *, used: bool) -> str:
    """Return the variable as a path, and make the file if it is used."""
    path = text(name, default)
    if used:
        try:
            private_file(Path(path))
            Path(path).open("a").close()
        except OSError as error:
            _report(name, f"names a file that cannot be written ({error}).")
            return os.devnull
    return path


def networks(name: str, default: str) -> list[IPv4Network | IPv6Network]:
    """Return the variable as networks or single addresses, which have commas between them."""
    try:
        return [ip_network(one) for one in words(name, default)]
    except ValueError as error:
        _report(name, f"has a wrong network ({error}); use such as 10.0.0.0/8 or 192.0.2.7.")
        return [ip_network(one) for one in default.split(",")]


def emails(name: str) -> list[str]:
    """Return the variable as e-mail addresses, which have commas between them."""
    found = words(name)
    for address in found:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
            _report(name, f"has {address!r}; use addresses such as ada@example.com.")
            return []
    return found


def sentry_dsn(name: str) -> str:
    """Return the variable as an address of Sentry's, nothing if it is not set."""
    value = text(name)
    split = _split(value)
    whole = split and split.scheme in {"http", "https"} and split.username and split.hostname
    if value and not (whole and re.fullmatch(r"(/.*)?/\d+", split.path if split else "")):
        _report(name, "is not of the form https://key@host/project.")
        return ""
    return value


def keepalive(*, idle: int, interval: int, count: int) -> dict[int, int]:
    """Return the TCP keepalive options of a socket: it sends a probe after `idle` seconds without
    traffic and after each further `interval`, and gives up after `count` probes without an answer.

    Options that this system does not have are left out.
    """
    named = {"TCP_KEEPIDLE": idle, "TCP_KEEPINTVL": interval, "TCP_KEEPCNT": count}
    return {getattr(socket, name): value for name, value in named.items() if hasattr(socket, name)}


def _split(url: str) -> SplitResult | None:
    """Return the parts of the address, or None if it is not valid or its port is not a number."""
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split


def _is_something_else(path: Path) -> bool:
    """Return whether the file is there and no SQLite database. An empty one becomes a database; one
    that cannot be read is for SQLite to judge."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(SQLITE)) not in (b"", SQLITE)
    except OSError:
        return False


def _sqlite(path: Path, lock_timeout: int) -> dict[str, Any]:
    try:
        private_file(path)
    except OSError as error:
        _report("DATABASE_URL", f"names a file that cannot be made ({error}).")
    # SQLite makes these with the mode of the file itself; they may be older than that mode.
    for suffix in ("-wal", "-shm"):
        restrict_file(path.with_name(f"{path.name}{suffix}"))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            # A transaction that reads and then writes fails at once if another one has written in
            # between. With the write lock from its start it waits instead.
            "transaction_mode": "IMMEDIATE",
            "timeout": lock_timeout or FOREVER,
            # A committed transaction is on the disk (docs/decisions/0013-sqlite-durability.md).
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _report(name: str, message: str) -> None:
    problems.append(Problem(name, message))
