"""The settings of the tests with one more app, and with the limits that the features declare."""

from config.settings_test import *  # noqa: F403
from config.settings_test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "polls"]
ACTION_LIMITS = {}
