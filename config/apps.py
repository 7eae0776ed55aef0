from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The project itself as an app: its commands and system checks."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        """Register the system checks."""
        from config import checks  # noqa: F401
