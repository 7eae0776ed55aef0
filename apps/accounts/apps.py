from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, their sessions and their tokens."""

    name = "apps.accounts"
    label = "accounts"
    layer = "accounts"

    def ready(self) -> None:
        """Decide for the websocket who may open one."""
        from apps.accounts.socket_authentication import AccountsSocketAuthenticator
        from apps.realtime.registry import authenticate_sockets

        authenticate_sockets(AccountsSocketAuthenticator())
