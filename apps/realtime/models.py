"""The event log. The numbers of a stream have no holes, since they are assigned under the lock of
its row."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.core.ids import uuid7


def new_epoch() -> str:
    """Return a new epoch: numbers are unique within one, and begin again in a new database."""
    return uuid7().hex[-12:]


class Stream(models.Model):
    """One numbered sequence of events, such as user.<id>."""

    name = models.CharField(primary_key=True, max_length=100)
    head = models.BigIntegerField(default=0)
    epoch = models.CharField(max_length=12, default=new_epoch)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(head__gte=0), name="stream_head_not_negative")
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.head}"


class LoggedEvent(models.Model):
    """Something that happened, as it is sent to the subscribers of its stream."""

    # No foreign key: an insert here locks the row of the stream first, which checks that it exists.
    stream = models.CharField(max_length=100)
    seq = models.BigIntegerField()
    type = models.CharField(max_length=50)
    data = models.JSONField()
    # Bytes of its frame; 0 for events that are older than this column.
    size = models.PositiveIntegerField(db_default=0)
    # The id of what the event is about: when that is deleted, the logged payload is redacted.
    subject = models.UUIDField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        # The name from before the class was renamed, which processes of an older version use.
        db_table = "realtime_event"
        ordering = ("stream", "seq")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream", "seq"], name="event_seq_unique"),
            models.CheckConstraint(condition=models.Q(seq__gte=1), name="event_seq_positive"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["subject"], name="event_subject", condition=models.Q(subject__isnull=False)
            ),
            models.Index(fields=["created_at"], name="event_created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq}: {self.type}"


class LastSeen(models.Model):
    """When the last device of a user went offline."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="last_seen",
    )
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} at {self.at}"


class SocketTimeline(models.Model):
    """What happened to one websocket, for administrators. It is kept for a day after its last
    step."""

    # The id of the socket, `clientId` of its first frame.
    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="socket_timelines"
    )
    # What LOG_CLIENT_ADDRESS lets the log show.
    address = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    code = models.PositiveSmallIntegerField(null=True)
    # Each has `at`, `what` and its details.
    steps = models.JSONField(default=list)
    # The last number that was sent of each stream, when it was written.
    sent = models.JSONField(default=dict)
    written_at = models.DateTimeField()

    class Meta:
        verbose_name = "websocket"
        ordering = ("-id",)
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["written_at"], name="timeline_written_at")
        ]

    def __str__(self) -> str:
        return str(self.id)
