"""The settings of the next release with what must not come at once: a column with a new name."""

from settings_of_next_release import *  # type: ignore[import-not-found]  # noqa: F403
from settings_of_next_release import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "breaking_release"]
