from django.apps import AppConfig


class MailConfig(AppConfig):
    """Mail to users, and what they do with the links in it."""

    name = "apps.mail"
    label = "mail"
    layer = "mail"
