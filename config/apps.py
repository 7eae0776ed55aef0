from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """What the whole is put together from: commands and system checks of the installation."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        """Register the system checks."""
        from config import checks  # noqa: F401
