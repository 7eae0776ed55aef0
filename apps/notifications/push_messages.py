"""What a push tells: a notification, in so few bytes that every push service takes it."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.notifications.models import Notification
from apps.notifications.push_encryption import LONGEST

# What is made shorter, in this order. The rest is short.
SHORTENED = ("body", "title", "url")
# The most bytes that a character takes in JSON, as \u0001.
WIDEST = 6


def push_message(notification: Notification) -> Mapping[str, Any]:
    """Return a notification as it is pushed. What is too long for one push ends with an ellipsis;
    a path that is too long is left out, since half of it leads elsewhere."""
    message = {
        "id": str(notification.pk),
        "type": notification.type,
        "category": notification.category,
        "title": notification.title,
        "body": notification.body,
        "url": notification.url,
        "count": notification.count,
    }
    for name in SHORTENED:
        _shorten(message, name)
    return message


def _shorten(message: dict[str, Any], name: str) -> None:
    text = message[name]
    # Each round cuts no more characters than there are bytes too many, so none is cut in vain.
    while text and (over := len(orjson.dumps(message)) - LONGEST) > 0:
        text = "" if name == "url" else text[: -max(1, over // WIDEST)]
        message[name] = text and f"{text}…"
