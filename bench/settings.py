"""Parley's settings with one view more, which does nothing."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
