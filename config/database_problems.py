"""What is wrong with a database that cannot be used, as one sentence, and what to do about it."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError

from config import env

# The words of PostgreSQL, or of its client, and the sentence. The first that matches counts. A
# failed connection has no SQLSTATE, and a server that speaks another language gets the last one.
POSTGRESQL = (
    (
        r"no pg_hba\.conf entry",
        '{place} does not let user "{user}" use database "{name}" from this machine, or not '
        "without TLS. Add a line for them to its pg_hba.conf, or set DB_SSLMODE=require.",
    ),
    (
        r"does not support SSL",
        "{place} offers no TLS, and sslmode={sslmode} requires it. Turn it on there, or set "
        "DB_SSLMODE, or sslmode in DATABASE_URL, to prefer.",
    ),
    (
        r"certificate|sslmode|sslrootcert|SSL error|SSL SYSCALL|SSL negotiation",
        "TLS with {place} fails: {reason}. Correct DB_SSLMODE, or sslmode and sslrootcert in "
        "DATABASE_URL.",
    ),
    (
        r"invalid connection option|bad value for",
        'PostgreSQL\'s client does not take what stands behind the "?" of DATABASE_URL: {reason}. '
        "Correct it.",
    ),
    (
        r"failed to resolve host|could not translate host name",
        'No host has the name "{host}". Correct {address}.',
    ),
    (
        r"Connection refused|No such file or directory",
        "{place} refuses connections. Start PostgreSQL there, or correct {address}.",
    ),
    (
        r"connection timeout|timeout expired|timed out|No route to host|unreachable",
        "{place} does not answer. Correct {address}, or open the way to it in the firewall.",
    ),
    (
        r'database ".*" does not exist',
        '{place} has no database "{name}". Make it with: createdb {place_options} '
        "--owner={user_quoted} {name_quoted}",
    ),
    (
        r'role ".*" does not exist',
        '{place} has no user "{user}". Make one with: createuser {place_options} --pwprompt '
        "{user_quoted}",
    ),
    (
        r"no password supplied",
        '{place} asks for the password of user "{user}". Set it in {password_setting}.',
    ),
    (
        r"password authentication failed",
        '{place} refuses the password of user "{user}", or has no such user. Correct '
        "{password_setting}.",
    ),
    (
        r"authentication failed",
        '{place} does not let user "{user}" in: {reason}. Correct {user_setting}, or its '
        "pg_hba.conf.",
    ),
    (
        r"too many clients|connection slots are reserved|too many connections",
        "{place} has no connection left. Stop a process that uses it, or raise its "
        'max_connections (docs/operations.md, "Several processes").',
    ),
    (
        r"starting up|shutting down|not yet accepting connections",
        "{place} starts or stops just now. Try again in a moment; serve and migrate wait for it "
        "with --wait.",
    ),
    (
        r"No space left on device|could not extend file",
        "The disk of {place} is full. Make room there and try again.",
    ),
    (
        r"permission denied for schema",
        'User "{user}" may not create tables in database "{name}". Make them its owner, in psql as '
        'an administrator: ALTER DATABASE "{name}" OWNER TO "{user}";',
    ),
    (
        r"server closed the connection|terminating connection|connection is closed",
        "{place} ended the connection. Its log says why; try again.",
    ),
)
SQLITE = (
    (
        r"unable to open database file",
        "The SQLite file {name} cannot be opened. Let this account write the file and its folder, "
        "or name another one in DATABASE_URL.",
    ),
    (
        r"readonly database",
        "The SQLite file {name} cannot be written. Let this account write the file and its folder, "
        "or name another one in DATABASE_URL.",
    ),
    (r"disk is full", "The disk of the SQLite file {name} is full. Make room there and try again."),
    (
        r"disk I/O error",
        "The disk of the SQLite file {name} fails, or is full. Make room there, or repair it.",
    ),
    (
        r"database is locked",
        "Another program writes the SQLite file {name} and does not end. Stop it and try again.",
    ),
    (
        r"file is not a database|disk image is malformed",
        "The file {name} is no SQLite database, or a damaged one. Name another one in "
        "DATABASE_URL, or restore it from a backup.",
    ),
)
# The words of either, for a command that is run before `migrate`.
LACKING = (
    r'relation ".*" does not exist|column .* does not exist|no such (table|column)',
    "{place} lacks tables or columns of this release. Make them with: python manage.py migrate",
)
# What libpq and its Python client put before the reason.
PREFIX = r"^(connection (failed|is bad): )?(connection to .* failed: )?(FATAL: +)?"
TOO_OLD = r"or later is required \(found"


def problem_of(error: BaseException) -> str:
    """Return what is wrong with the database and what to do, if that is what the error says. A
    mistake of the program gives an empty string."""
    if not isinstance(error, Error):
        return ""
    database = settings.DATABASES["default"]
    said = str(error)
    facts = _facts(database, said)
    if re.search(TOO_OLD, said):
        return f"{said} Upgrade it, or name another one in {facts['address']}."
    known: Sequence[tuple[str, str]] = SQLITE if on_sqlite() else POSTGRESQL
    for words, sentence in (*known, LACKING):
        if re.search(words, said):
            return sentence.format_map(facts)
    if isinstance(error, OperationalError | InterfaceError):
        return (
            "{place} cannot be used: {reason}. Add --traceback to see the whole error.".format_map(
                facts
            )
        )
    return ""


def on_sqlite() -> bool:
    """Return whether the database is SQLite."""
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


def database_place() -> str:
    """Return which database this is and where, without the password."""
    database = settings.DATABASES["default"]
    if on_sqlite():
        return f"SQLite in {database['NAME']}"
    return f"{_server(database)}/{database['NAME']}"


def _server(database: dict[str, Any]) -> str:
    return f"PostgreSQL at {database['HOST'] or 'the local socket'}:{database['PORT']}"


def _facts(database: dict[str, Any], said: str) -> dict[str, str]:
    host, port = str(database.get("HOST", "")), str(database.get("PORT", ""))
    options = {"host": host, "port": port}
    by_url = bool(env.text("DATABASE_URL"))
    return {
        "place": database_place() if on_sqlite() else _server(database),
        "name": str(database["NAME"]),
        "name_quoted": shlex.quote(str(database["NAME"])),
        "host": host,
        "user": str(database.get("USER", "")),
        "user_quoted": shlex.quote(str(database.get("USER", ""))),
        "place_options": " ".join(f"--{k}={shlex.quote(v)}" for k, v in options.items() if v),
        "sslmode": str(database["OPTIONS"].get("sslmode", "")),
        "address": "DATABASE_URL" if by_url or on_sqlite() else "DB_HOST and DB_PORT",
        "user_setting": "DATABASE_URL" if by_url else "DB_USER",
        "password_setting": "DATABASE_URL" if by_url else "DB_USER and DB_PASSWORD",
        "reason": _reason(said),
    }


def _reason(said: str) -> str:
    """Return the first line of the error alone."""
    line = said.partition("\n")[0]
    return re.sub(PREFIX, "", line).rstrip(". ")
