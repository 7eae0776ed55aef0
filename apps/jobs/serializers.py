"""How jobs are shown."""

from rest_framework import serializers

from apps.core.http.pagination import ListQuery
from apps.core.serializers import CamelSerializer
from apps.jobs.models import Job


class JobQuery(ListQuery):
    """Which of one's jobs are listed."""

    status = serializers.ChoiceField(choices=Job.Status.choices, required=False)


class JobOutput(CamelSerializer):
    """A job, to its owner."""

    id = serializers.UUIDField()
    type = serializers.CharField(help_text="What is done.")
    status = serializers.ChoiceField(choices=Job.Status.choices)
    progress = serializers.IntegerField(min_value=0, max_value=100, help_text="In percent.")
    result = serializers.JSONField(help_text="What a completed job returned, else null.")
    error = serializers.CharField(
        allow_blank=True, help_text="Why the last attempt failed; empty if none has."
    )
    attempts = serializers.IntegerField(min_value=0)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class JobEndedPayload(CamelSerializer):
    """A job that has ended."""

    job = JobOutput()
