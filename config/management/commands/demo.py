"""`manage.py demo`: fills the database with examples."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.core.features import features
from apps.realtime.event_lines import EVENT_LOGGER


class Command(BaseCommand):
    """Has every feature create its examples through its services; a second run adds nothing."""

    help = "Fill the database with the examples of all features, and say how to log in."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the examples that are missing and print a description of all."""
        if settings.APP_ENV == "production":
            raise CommandError("The password of the example users is public: not in production.")
        with _no_lines_about_events():
            for feature in features().values():
                if feature.demo is not None:
                    self.stdout.write(feature.demo())


@contextmanager
def _no_lines_about_events() -> Iterator[None]:
    """Log none of them: a line for each example would bury how to log in."""
    logger = logging.getLogger(EVENT_LOGGER)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
