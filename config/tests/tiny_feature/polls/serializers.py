"""Polls on the wire."""

from rest_framework import serializers

from apps.core.serializers import CamelSerializer, Text, WholeNumber


class PollInput(CamelSerializer):
    question = Text(max_length=200)
    minutes = WholeNumber(min_value=0, max_value=60 * 24)


class PollOutput(CamelSerializer):
    """A poll."""

    id = serializers.UUIDField()
    author_id = serializers.UUIDField()
    question = serializers.CharField()
    votes = serializers.IntegerField()
    closes_at = serializers.DateTimeField()


class PollOpenedPayload(CamelSerializer):
    poll_id = serializers.UUIDField()
    question = serializers.CharField()


class PollVotesPayload(CamelSerializer):
    poll_id = serializers.UUIDField()
    votes = serializers.IntegerField()
