from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, their sessions and the tokens that speak for them."""

    name = "apps.accounts"
    label = "accounts"
    layer = "accounts"
