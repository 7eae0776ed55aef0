"""What the mails about notifications say. They hold what users have written, such as the title of a
post, because they go only to addresses that are verified, to users who may see it."""

import unicodedata
from collections.abc import Sequence

from django.conf import settings

from apps.accounts.models import User
from apps.mail.letters import Letter
from apps.notifications.categories import categories
from apps.notifications.models import Notification
from apps.notifications.unsubscribe_links import unsubscribe_url

# So many notifications of a digest are named.
MOST_LINES = 50


def letter_of(notification: Notification) -> Letter:
    """Return the mail about a notification, which was read with its actor."""
    actor = notification.actor
    told = [notification.title, notification.body, f"From {actor.name}" if actor else ""]
    category = notification.category
    about = categories().get(category, category)
    return Letter(
        subject=one_line(notification.title),
        paragraphs=[text for text in told if text],
        button="Open it" if notification.url else "",
        page=notification.url.lstrip("/"),
        closing=f"You are mailed because your notifications include: {about}.",
        unsubscribe_url=unsubscribe_url(notification.recipient_id, category),
    )


def digest_letter(user: User, notifications: Sequence[Notification], more: int) -> Letter:
    """Return the mail about several notifications of a user, and so many more."""
    count = len(notifications) + more
    lines = [(one_line(one.title), _address(one)) for one in notifications]
    if more:
        lines.append((f"and {more} more", ""))
    return Letter(
        subject="1 unread notification" if count == 1 else f"{count} unread notifications",
        paragraphs=["This is what you were told and have not read:"],
        lines=lines,
        closing="You are mailed because you chose a digest of your notifications once a day.",
        unsubscribe_url=unsubscribe_url(user.pk),
    )


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, which a header must not have."""
    visible = (" " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one for one in text)
    return " ".join("".join(visible).split())


def _address(notification: Notification) -> str:
    return f"{settings.APP_URL}{notification.url}" if notification.url else ""
