"""Contract: drop the columns that only direct messages had.

No process of the previous release may run during this migration or after it (docs/operations.md).
"""

from typing import Any

import django.utils.timezone
from django.db import migrations, models


def nothing(apps: Any, schema_editor: Any) -> None:
    """Do nothing: only the reverse migration has conditions."""


def refuse_groups(apps: Any, schema_editor: Any) -> None:
    """Raise ValueError if there are groups: the columns that come back cannot describe them."""
    if apps.get_model("chat", "Conversation").objects.filter(kind="group").exists():
        raise ValueError("The previous release knows no groups: delete them, then migrate again.")


class Migration(migrations.Migration):
    dependencies = [("chat", "0004_receipts_from_messages")]

    operations = [
        migrations.RemoveConstraint(model_name="membership", name="membership_one_per_peer"),
        migrations.RemoveConstraint(model_name="message", name="message_not_to_oneself"),
        migrations.RemoveConstraint(model_name="message", name="message_read_has_its_time"),
        migrations.RemoveIndex(model_name="message", name="message_unread"),
        migrations.RemoveField(model_name="conversation", name="pair"),
        migrations.RemoveField(model_name="membership", name="last_message"),
        migrations.RemoveField(model_name="membership", name="peer"),
        migrations.RemoveField(model_name="message", name="read_at"),
        migrations.RemoveField(model_name="message", name="receiver"),
        migrations.RemoveField(model_name="message", name="status"),
        migrations.AlterField(
            model_name="conversation",
            name="last_message_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(
                condition=models.Q(
                    ("incoming_seq", None),
                    ("incoming_seq__gt", models.F("read_seq")),
                    _connector="OR",
                ),
                fields=["user"],
                name="membership_unread",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("deleted_at", None)),
                fields=["conversation", "seq", "sender"],
                name="message_shown",
            ),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.UniqueConstraint(
                fields=("first", "second"), name="conversation_one_per_pair"
            ),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.CheckConstraint(
                condition=models.Q(("first__lt", models.F("second"))),
                name="conversation_pair_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="conversation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("first__isnull", False),
                        ("kind", "direct"),
                        ("second__isnull", False),
                        ("title", ""),
                    ),
                    models.Q(
                        ("first__isnull", True),
                        ("kind", "group"),
                        ("second__isnull", True),
                        models.Q(("title", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="conversation_is_a_pair_or_a_group",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                condition=models.Q(("role", "owner")),
                fields=("conversation",),
                name="membership_one_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("role", "member"),
                    models.Q(
                        ("incoming_seq", None),
                        ("last_message_at", None),
                        ("role__in", ["owner", "admin"]),
                    ),
                    _connector="OR",
                ),
                name="membership_role_known_and_of_a_group",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("delivered_seq__gte", models.F("joined_seq")),
                    ("read_seq__gte", models.F("joined_seq")),
                ),
                name="membership_reads_what_came_after",
            ),
        ),
        # The reverse migration begins with it, so that a refusal leaves the database as it is.
        migrations.RunPython(nothing, refuse_groups, elidable=True),
    ]
