"""A server with life in it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.core.features import features


class Command(BaseCommand):
    """Has every feature make its examples through its services; a second run adds nothing."""

    help = "Fill the database with people, posts and conversations, and say how to log in as them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is not there yet and print what there is."""
        if settings.APP_ENV == "production":
            raise CommandError("The password of these people is public: not in production.")
        for feature in features().values():
            if feature.demo is not None:
                self.stdout.write(feature.demo())
