"""Move the status of every message into receipts and cursors, and back.

Consecutive messages that were read at one time become one receipt. The reverse migration fills the
columns of each message again.
"""

from typing import Any

from django.db import migrations
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce

CHUNK = 1_000

# Among the messages to one user, consecutive ones that agree have the same difference between their
# position among all and their position among those that agree.
RECEIPTS = """
INSERT INTO chat_receipt (conversation_id, user_id, kind, first_seq, last_seq, at)
SELECT conversation_id, receiver_id, %s, min(seq), max(seq), {at}
FROM (
    SELECT conversation_id, receiver_id, seq, status, read_at, created_at,
        row_number() OVER (PARTITION BY conversation_id, receiver_id ORDER BY seq)
        - row_number() OVER (PARTITION BY conversation_id, receiver_id, status, read_at ORDER BY seq)
        AS island
    FROM chat_message
) AS numbered
WHERE status = %s AND {condition}
GROUP BY conversation_id, receiver_id, island, {agree}
"""
BEHIND_CURSOR = """
seq > (
    SELECT delivered_seq FROM chat_membership
    WHERE chat_membership.conversation_id = numbered.conversation_id AND user_id = receiver_id
)
"""


def into_receipts(apps: Any, schema_editor: Any) -> None:
    """Fill the new columns and the receipts."""
    conversation, membership, message = (
        apps.get_model("chat", name).objects.order_by()
        for name in ("Conversation", "Membership", "Message")
    )
    # Conversations of users whose accounts were deleted, with their messages and memberships.
    conversation.filter(memberships=None, messages=None).delete()
    either = membership.filter(conversation=OuterRef("pk"))
    ordered = either.filter(user__lt=F("peer"))
    conversation.update(
        first=Subquery(ordered.values("user")[:1]),
        second=Subquery(ordered.values("peer")[:1]),
        last_message_at=Subquery(either.values("last_message_at")[:1]),
    )
    to_them = message.filter(conversation=OuterRef("conversation"), receiver=OuterRef("user"))
    of_conversation = conversation.filter(pk=OuterRef("conversation"))
    last_seq = Subquery(of_conversation.values("last_seq")[:1])
    unread = to_them.filter(read_at=None, deleted_at=None).order_by("seq")
    undelivered = to_them.filter(status="sent").order_by("seq")
    membership.update(
        incoming_seq=Coalesce(Subquery(to_them.order_by("-seq").values("seq")[:1]), 0),
        read_seq=Coalesce(Subquery(unread.values("seq")[:1]) - 1, last_seq),
        delivered_seq=Coalesce(Subquery(undelivered.values("seq")[:1]) - 1, last_seq),
    )
    membership.filter(last_message=None).update(last_message_at=None)
    with schema_editor.connection.cursor() as cursor:
        read = RECEIPTS.format(at="read_at", condition="read_at IS NOT NULL", agree="read_at")
        cursor.execute(read, ["read", "read"])
        delivered = RECEIPTS.format(at="max(created_at)", condition=BEHIND_CURSOR, agree="status")
        cursor.execute(delivered, ["delivered", "delivered"])


def into_messages(apps: Any, schema_editor: Any) -> None:
    """Fill the columns of the previous release."""
    conversation, membership, message, receipt = (
        apps.get_model("chat", name).objects.order_by()
        for name in ("Conversation", "Membership", "Message", "Receipt")
    )
    for one in conversation.only("first", "second").iterator(CHUNK):
        pair = one.first_id.hex + one.second_id.hex
        conversation.filter(pk=one.pk).update(pair=pair)
    place = conversation.filter(pk=OuterRef("conversation"))

    def other_than(user: str) -> Subquery:
        other = Case(When(first=OuterRef(user), then="second"), default="first")
        return Subquery(place.values_list(other)[:1])

    message.update(receiver=other_than("sender"))
    covering = receipt.filter(
        conversation=OuterRef("conversation"),
        user=OuterRef("receiver"),
        first_seq__lte=OuterRef("seq"),
        last_seq__gte=OuterRef("seq"),
    )
    reader = membership.filter(
        conversation=OuterRef("conversation"),
        user=OuterRef("receiver"),
        delivered_seq__gte=OuterRef("seq"),
    )
    read, delivered = covering.filter(kind="read"), covering.filter(kind="delivered")
    message.update(
        read_at=Subquery(read.values("at")[:1], output_field=DateTimeField()),
        status=Case(
            When(Exists(read), then=Value("read")),
            When(Exists(delivered) | Exists(reader), then=Value("delivered")),
            default=Value("sent"),
        ),
    )
    shown = message.filter(conversation=OuterRef("conversation"), deleted_at=None)
    membership.update(
        peer=other_than("user"),
        last_message=Subquery(shown.order_by("-seq").values("pk")[:1]),
        last_message_at=Subquery(place.values("last_message_at")[:1]),
    )
    receipt.delete()


class Migration(migrations.Migration):
    dependencies = [("chat", "0003_memberships")]

    operations = [migrations.RunPython(into_receipts, into_messages, elidable=True)]
