"""The links by which readers of a mail stop such mails. A link is not stored: its token names the
user and the category, is signed, and is good for as long as mails are read."""

from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core import signing

from apps.notifications.errors import InvalidUnsubscribeLink

UNSUBSCRIBE_PAGE = "account/unsubscribe"
LONGEST_TOKEN = 300
SALT = "apps.notifications.unsubscribe_links"


def unsubscribe_url(user_id: UUID, category: str = "") -> str:
    """Return the address at which a user stops the mails of a category, or of all of them."""
    token = signing.dumps([str(user_id), category], salt=SALT)
    return f"{settings.APP_URL}/{UNSUBSCRIBE_PAGE}?{urlencode({'token': token})}"


def unsubscribe_choice(token: str) -> tuple[UUID, str]:
    """Return the user and the category of a token; raise InvalidUnsubscribeLink."""
    try:
        user_id, category = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise InvalidUnsubscribeLink from None
    return UUID(user_id), category
