"""A database of its own for a program that starts a server."""

import os
from pathlib import Path

import django
from django.core.management import call_command

from testing.suite import BACKEND_SETTINGS


def use_database(path: Path) -> None:
    """Set Django up on a new SQLite database, whatever else a developer has set."""
    for name in list(os.environ):
        if name.removesuffix("_FILE") in BACKEND_SETTINGS:
            del os.environ[name]
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_test"
    os.environ["DATABASE_URL"] = f"sqlite:///{path}"
    django.setup()
    call_command("migrate", verbosity=0)
