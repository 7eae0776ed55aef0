from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Work that is done after the answer, by workers."""

    name = "apps.jobs"
    label = "jobs"
    layer = "jobs"
