"""What mail keeps of a user: the links that were mailed to them, and the jobs that mail them."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Q

from apps.accounts.models import User
from apps.core.features import PersonalData
from apps.jobs.models import Job
from apps.mail.models import MailedLink

EXPORTED = ("purpose", "email", "created_at", "expires_at", "used_at")


def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    # The first argument of each task is the user or their address.
    to_user = Q(arguments__args__0=str(user_id))
    for email in User.objects.filter(pk=user_id).values_list("email", flat=True):
        to_user |= Q(arguments__args__0=email)
    mails = Job.objects.filter(to_user, task__startswith="apps.mail.tasks.")
    return {
        "mails": mails.delete()[0],
        "mailed links": MailedLink.objects.filter(user=user_id).delete()[0],
    }


PERSONAL_DATA = PersonalData(
    fields={"mail.MailedLink.user"},
    exports={
        "mailed_links": lambda user_id: (
            MailedLink.objects.filter(user=user_id).order_by("created_at").values(*EXPORTED)
        )
    },
    erase=_erase,
)
