"""Taking back what users were told of something that they may not read any more."""

from django.db import transaction

from apps.notifications.models import Notification
from apps.notifications.removing import notifications_delete
from apps.realtime.event_log import redact

WITHDRAWN_AT_ONCE = 500
# What the event log keeps of a notification that was taken back.
WITHDRAWN = {"title": "", "body": "", "url": "", "data": {}}


@transaction.atomic
def notifications_withdraw(key: str) -> int:
    """Delete notifications of a key, which tell nothing else, and redact them in the event log;
    return how many, WITHDRAWN_AT_ONCE at most. This is an action of the system, without an actor.

    A recipient for whom it is deleted could be told of the key again: it is the caller who tells
    of it once. What a mail or a push has told already stays told.
    """
    # A recipient has one of a key, so these are locked in the order of notifications_delete().
    found = Notification.objects.filter(key=key).order_by("recipient").select_for_update()
    withdrawn = list(found.values_list("pk", flat=True)[:WITHDRAWN_AT_ONCE])
    notifications_delete(withdrawn)
    redact({pk: {"notification": WITHDRAWN} for pk in withdrawn})
    return len(withdrawn)
