from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, their sessions and their tokens."""

    name = "apps.accounts"
    label = "accounts"
    layer = "accounts"
