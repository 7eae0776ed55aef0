"""Parley's settings without limits on how often, and with what the environment asks for: a broken
build, a clock that is wrong, a short retention, a periodic job."""

import os
import time
from datetime import datetime, timedelta

import django.utils.timezone

if ahead := int(os.environ.get("CHAOS_CLOCK_AHEAD", "0")):
    # Before any model is imported, which would keep the right clock as a default of its fields.
    # datetime.now() cannot be replaced, so that libraries which ask it have the right time.
    _time, _time_ns, _now = time.time, time.time_ns, django.utils.timezone.now

    def _wrong_now() -> datetime:
        return _now() + timedelta(seconds=ahead)

    time.time = lambda: _time() + ahead
    time.time_ns = lambda: _time_ns() + ahead * 10**9
    django.utils.timezone.now = _wrong_now

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS
from testing.limits import AllActions

ROOT_URLCONF = "testing.chaos.urls"
ACTION_LIMITS = AllActions(10_000_000)
if seconds := os.environ.get("CHAOS_RETENTION"):
    EVENT_RETENTION = timedelta(seconds=float(seconds))
if os.environ.get("PARLEY_TAMPER"):
    INSTALLED_APPS = [*INSTALLED_APPS, "testing.chaos.broken_builds.BrokenConfig"]
if os.environ.get("CHAOS_SCHEDULE_SECONDS"):
    INSTALLED_APPS = [*INSTALLED_APPS, "testing.chaos.apps.ChaosConfig"]
