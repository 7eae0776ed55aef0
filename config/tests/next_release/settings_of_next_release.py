"""The settings of the tests with what the next release adds: migrations of a table that this one
uses."""

from config.settings_test import *  # noqa: F403
from config.settings_test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "next_release"]
