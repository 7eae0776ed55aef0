"""The settings of a test run: a developer's own .env left out, and cheap passwords."""

import os

os.environ["APP_ENV"] = "test"
os.environ.setdefault("LOG_LEVEL", "warning")
# Test processes that run side by side share one Redis, but must not hear each other.
os.environ["APP_NAME"] = f"parley-test-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, DATABASES, INSTALLED_APPS, THREAD_WAIT
from testing.limits import AllActions

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "ignore_name": [
        # On SQLite a constraint comes with the table made anew, all of whose columns the linter
        # takes for added ones that may not be empty. On PostgreSQL it finds nothing here.
        "0004_email_in_ascii",
        "0003_memberships",
        "0003_event_size",
        # It drops what the release before writes, of which no process may run any more: what that
        # says of reading is in another place now, and nothing could keep both up to date.
        "0005_without_receivers",
    ]
}
if os.environ.get("PARLEY_TAMPER"):
    INSTALLED_APPS = [*INSTALLED_APPS, "apps.realtime.tests.tampered.TamperedConfig"]
PASSWORD_HASHERS = ["testing.hashing.NoticedHasher"]
# A test of servers whose threads all hang need not wait as long as their clients would.
THREAD_WAIT = float(os.environ.get("PARLEY_THREAD_WAIT", THREAD_WAIT))
# A test of the limits themselves starts its server with limits of its own.
if "RATE_LIMIT_BURST" not in os.environ:
    RATE_LIMIT_REQUESTS_PER_SECOND = RATE_LIMIT_BURST = 100_000
ACTION_LIMITS = AllActions(100_000)

# Threads of a test share the database only when it is a file; runs side by side must not.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / f"test-{os.getpid()}.sqlite3"}
    # Nothing of a test need outlive a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
