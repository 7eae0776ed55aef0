"""`manage.py demo`: fills the database with examples."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.core.features import features


class Command(BaseCommand):
    """Has every feature create its examples through its services; a second run adds nothing."""

    help = "Fill the database with the examples of all features, and say how to log in."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the examples that are missing and print a description of all."""
        if settings.APP_ENV == "production":
            raise CommandError("The password of the example users is public: not in production.")
        for feature in features().values():
            if feature.demo is not None:
                self.stdout.write(feature.demo())
