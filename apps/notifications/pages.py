"""The page on which readers stop mails about notifications."""

from apps.mail.pages import LinkPage
from apps.notifications import services
from apps.notifications.serializers import UnsubscribeInput
from apps.notifications.unsubscribe_links import UNSUBSCRIBE_PAGE

PAGES = {
    UNSUBSCRIBE_PAGE: LinkPage(
        title="Stop these mails",
        button="Stop these mails",
        done="You get no more of these mails.",
        act=services.email_unsubscribe,
        input=UnsubscribeInput,
        limit="unsubscribe",
        is_in_query=True,
    )
}
