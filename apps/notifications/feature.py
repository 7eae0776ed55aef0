"""What notifications add to the project."""

from apps.core.features import Feature
from apps.notifications.models import Channel, Delivery, Preferences
from apps.notifications.pages import PAGES
from apps.notifications.personal_data import PERSONAL_DATA
from apps.notifications.pruning import notifications_prune
from apps.notifications.views import NotificationViewSet

FEATURE = Feature(
    routes={"notifications": NotificationViewSet},
    pages=PAGES,
    # The server of a mail provider unsubscribes for many users.
    limits={"push_subscription": 60, "unsubscribe": 120},
    prunes={"notifications": notifications_prune},
    personal_data=PERSONAL_DATA,
    enums={
        "NotificationChannel": Channel,
        "DeliveryDecision": Delivery.Decision,
        "DeliveryReason": Delivery.Reason,
        "NotificationDigest": Preferences.Digest,
    },
)
