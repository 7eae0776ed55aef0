"""Parley's settings with one more view, which does nothing."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
