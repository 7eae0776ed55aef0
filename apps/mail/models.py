"""The table of links that were mailed."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.emails import MAX_EMAIL_LENGTH


class MailedLink(models.Model):
    """The right to do one thing once, mailed as a link. The link's token is stored as a hash.

    The row of a used link stays until the link would have expired, so that a job that is repeated
    does not make the link good again.
    """

    class Purpose(models.TextChoices):
        """What the link is for."""

        VERIFY = "verify"
        RESET = "reset"
        CHANGE = "change"
        UNDO = "undo"

    digest = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mailed_links"
    )
    purpose = models.CharField(max_length=10, choices=Purpose)
    # The address that the link was mailed to.
    email = models.EmailField(max_length=MAX_EMAIL_LENGTH)
    # A digest of what must not change until the link is used.
    state = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["verify", "reset", "change", "undo"]),
                name="mailed_link_purpose",
            )
        ]

    def __str__(self) -> str:
        return f"to {self.purpose}, for {self.email}"
