"""Parley's settings with SQLite's `synchronous` as the environment has it."""

import os

from config.settings import *  # noqa: F403
from config.settings import DATABASES

DATABASES["default"]["OPTIONS"]["init_command"] = (
    f"PRAGMA journal_mode=WAL; PRAGMA synchronous={os.environ['PARLEY_SYNCHRONOUS']};"
)
