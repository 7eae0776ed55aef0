"""The settings of a test run: without a developer's own .env, and with a cheap password hasher."""

import os
import sys
from pathlib import Path

os.environ["APP_ENV"] = "test"
os.environ.setdefault("LOG_LEVEL", "warning")
# Test processes that run at the same time share one Redis, but must not get each other's messages.
os.environ["APP_NAME"] = f"parley-test-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, DATABASES, INSTALLED_APPS, THREAD_WAIT
from testing.limits import AllActions

# Tests start hundreds of processes, each of which would compile a third of its modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "ignore_name": [
        # On SQLite a new constraint rebuilds the table, and the linter takes all of its columns for
        # new ones without a default. On PostgreSQL it finds nothing here.
        "0004_email_in_ascii",
        "0003_memberships",
        "0003_event_size",
        # It drops columns that the release before writes. No process of that release may still run:
        # what was read is stored in another table now, and nothing could keep both up to date.
        "0005_without_receivers",
    ]
}
if os.environ.get("PARLEY_TAMPER"):
    INSTALLED_APPS = [*INSTALLED_APPS, "apps.realtime.tests.tampered.TamperedConfig"]
PASSWORD_HASHERS = ["testing.hashing.NoticedHasher"]
# A test of a server whose threads all hang need not wait as long as its clients would.
THREAD_WAIT = float(os.environ.get("PARLEY_THREAD_WAIT", THREAD_WAIT))
# A test of these limits starts its server with other ones.
if "RATE_LIMIT_BURST" not in os.environ:
    RATE_LIMIT_REQUESTS_PER_SECOND = RATE_LIMIT_BURST = 100_000
# Servers of tests send no mail; tests of mail read it in their own process.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# Unless a test says where they are to write it.
if "MAIL_FOLDER" in os.environ:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = Path(os.environ["MAIL_FOLDER"])
ACTION_LIMITS = AllActions(100_000)
# Tests change rows, and empty tables, without the services that say what has changed. Tests of what
# is kept set it.
CACHE_SECONDS = int(os.environ.get("CACHE_SECONDS", "0"))

# Threads of one test share the database only if it is a file. Two runs must not share it.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / f"test-{os.getpid()}.sqlite3"}
    # The data of a test need not survive a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
