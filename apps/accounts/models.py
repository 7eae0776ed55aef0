"""People, and the sessions that they are logged in by."""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.emails import LONGEST, IsPrintableAscii, canonical_email
from apps.accounts.passwords import normalized, verify
from apps.core.ids import uuid7


class UserManager(BaseUserManager["User"]):
    """Makes users for Django's own commands; the API goes through services."""

    def create_superuser(self, email: str, password: str, **fields: Any) -> "User":
        """Return a new administrator, for `manage.py createsuperuser`; raise ValidationError."""
        user = self.model(email=canonical_email(email), role=User.Role.ADMIN, **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this address, in any spelling."""
        return self.get(email=canonical_email(username or ""))


class User(AbstractBaseUser):
    """A person, known by their e-mail address."""

    class Role(models.TextChoices):
        USER = "user"
        MODERATOR = "moderator"
        ADMIN = "admin"

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        BANNED = "banned"
        PENDING = "pending"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    email = models.EmailField(max_length=LONGEST, unique=True)
    email_verified = models.BooleanField(default=False)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.USER)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    bio = models.CharField(max_length=1000, blank=True, default="")
    avatar_url = models.CharField(max_length=500, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    # When they were last told that somebody keeps trying to log in as them.
    alerted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="user_email_in_lower_case"
            ),
            models.CheckConstraint(condition=IsPrintableAscii("email"), name="user_email_in_ascii"),
            models.CheckConstraint(
                condition=models.Q(role__in=["user", "moderator", "admin"]), name="user_role_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended", "banned", "pending"]),
                name="user_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Return whether they may log in, for Django's own pages."""
        return self.status == self.Status.ACTIVE

    @property
    def is_moderator(self) -> bool:
        """Return whether they look after what others write."""
        return self.role in {self.Role.MODERATOR, self.Role.ADMIN}

    @property
    def is_staff(self) -> bool:
        """Return whether they may enter the admin's pages."""
        return self.is_moderator

    def set_password(self, raw_password: str | None) -> None:
        """Set the password, normalised, for Django's own commands."""
        super().set_password(None if raw_password is None else normalized(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password, for Django's own code. Unlike Django's, it saves no
        fresh hash: that would undo a change of password that was made since the row was read."""
        return raw_password is not None and verify(raw_password, self.password).right

    def has_perm(self, permission: str, obj: object = None) -> bool:
        """Return whether the admin's pages let them: administrators all, moderators to look."""
        return self.role == self.Role.ADMIN or (
            self.is_moderator and permission.partition(".")[2].startswith("view_")
        )

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the admin shows them an app at all."""
        return self.is_moderator


class Session(models.Model):
    """One login of a person on one device. Its tokens are good for as long as it has not ended.

    `expires_at` is when the present refresh token expires. Address and device are those of the last
    refresh.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    # The jti of the one refresh token that is good now, that of the one before it, if any, and when
    # the one took the other's place, by the database's clock.
    refresh_jti = models.CharField(max_length=64)
    previous_jti = models.CharField(max_length=64, null=True)  # noqa: DJ001
    refreshed_at = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")),
                name="session_expires_after_it_began",
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["expires_at"], name="session_expires_at")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} on {self.user_agent or 'an unnamed device'}"


class WebsocketTicket(models.Model):
    """A right to open one websocket, kept as a hash; redeeming it deletes the row."""

    digest = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+")
    expires_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"for {self.session_id} until {self.expires_at}"
