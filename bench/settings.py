"""Parley's settings with two more views (bench/urls.py), and with limits on actions that are
consumed as always and never reached."""

from config.settings import *  # noqa: F403
from config.settings import ACTION_LIMITS as SHIPPED

ROOT_URLCONF = "bench.urls"
ACTION_LIMITS = {**SHIPPED, "create_post": 10_000_000, "send_message": 10_000_000}
