"""Daphne as an app, whose `manage.py runserver` serves websockets too."""

from django.apps import AppConfig


class DaphneConfig(AppConfig):
    """Daphne without its server, which `runserver` imports itself.

    Daphne's own config imports it, and with it Twisted, in every process: a fifth of a second more
    for each start, and 14 MB.
    """

    name = "daphne"
