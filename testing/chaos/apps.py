"""The app of the experiments, in processes that have its periodic job."""

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Has a feature.py."""

    name = "testing.chaos"
    label = "chaos"
