"""What mail adds to the project."""

from apps.core.features import Feature
from apps.mail.links import links_end_restored, links_prune
from apps.mail.pages import PAGES
from apps.mail.personal_data import PERSONAL_DATA
from apps.mail.services import (
    notice_after_login,
    notice_after_password_change,
    verification_after_registration,
)
from apps.mail.views import EmailViewSet, PasswordViewSet

FEATURE = Feature(
    routes={"auth/email": EmailViewSet, "auth/password": PasswordViewSet},
    pages=PAGES,
    limits={
        "mail_address": 3,  # to one address
        "mail_network": 10,  # asked for from one network
        "mail_link": 30,  # tokens from one network
        "email_change": 5,
    },
    prunes={"mailed links": links_prune},
    after_restore={"links in mails are void": links_end_restored},
    after_registration=[verification_after_registration],
    after_login=[notice_after_login],
    after_password_change=[notice_after_password_change],
    personal_data=PERSONAL_DATA,
)
