"""Users, whom they follow and block, their sessions, and the tickets that open websockets."""

import re
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.emails import MAX_EMAIL_LENGTH, IsPrintableAscii, canonical_email
from apps.accounts.passwords import compare, normalized
from apps.core.ids import uuid7

CONTROLS, REPLACEMENT = re.compile(r"[\x00-\x1f\x7f-\x9f]"), "\N{REPLACEMENT CHARACTER}"
# The tag of what depends on which users are active.
USERS_TAG = "users"


class UserManager(BaseUserManager["User"]):
    """Finds users for Django's own code. Services create them."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this address, in any spelling."""
        return self.get(email=canonical_email(username or ""))


class User(AbstractBaseUser):
    """A user, who logs in with their e-mail address."""

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
    email = models.EmailField(max_length=MAX_EMAIL_LENGTH, unique=True)
    email_verified = models.BooleanField(default=False)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.USER)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    bio = models.CharField(max_length=1000, blank=True, default="")
    avatar_url = models.CharField(max_length=500, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    # When the server last alerted the user that somebody keeps trying to log in as them.
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
        indexes: ClassVar[list[models.Index]] = [
            # Ids sort by time, so this index serves "newest first" without a second column.
            models.Index(
                fields=["-id"], name="user_active_newest", condition=models.Q(status="active")
            ),
            # The admin's lists filter by both.
            models.Index(fields=["role", "-id"], name="user_by_role"),
            models.Index(
                fields=["status", "-id"],
                name="user_by_status",
                condition=~models.Q(status="active"),
            ),
        ]

    def __str__(self) -> str:
        # Operators read it in a terminal, which no name may steer.
        return f"{CONTROLS.sub(REPLACEMENT, self.name)} <{self.email}>"

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Return whether the user may log in. Django's own pages ask this too."""
        return self.status == self.Status.ACTIVE

    @property
    def is_moderator(self) -> bool:
        """Return whether the user moderates what others write; administrators do too."""
        return self.role in {self.Role.MODERATOR, self.Role.ADMIN}

    @property
    def is_staff(self) -> bool:
        """Return whether the user may open the admin's pages, as Django asks."""
        return self.is_moderator

    def set_password(self, raw_password: str | None) -> None:
        """Set the password, normalised, for Django's own commands."""
        super().set_password(None if raw_password is None else normalized(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password, for Django's own code. Unlike Django's, it saves no
        new hash: that would undo a password change made since the row was read."""
        return raw_password is not None and compare(raw_password, self.password).matches

    def has_perm(self, permission: str, obj: object = None) -> bool:
        """Return whether the user has a permission in the admin's pages: administrators have all,
        moderators may view."""
        return self.role == self.Role.ADMIN or (
            self.is_moderator and permission.partition(".")[2].startswith("view_")
        )

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the admin's pages show the user an app."""
        return self.is_moderator


class Follow(models.Model):
    """A user follows another one. Ids sort by time, so the lists are ordered by them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    follower = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="follows", db_index=False
    )
    followed = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="followers", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["follower", "followed"], name="follow_once"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followed")), name="follow_not_oneself"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["follower", "-id"], name="follow_by_follower"),
            models.Index(fields=["followed", "-id"], name="follow_by_followed"),
        ]

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"


class Block(models.Model):
    """A user has blocked another one. It works in both directions: see blocks.py."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    blocker = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="blocks", db_index=False
    )
    blocked = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="blocks_by_others", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["blocker", "blocked"], name="block_once"),
            models.CheckConstraint(
                condition=~models.Q(blocker=models.F("blocked")), name="block_not_oneself"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["blocker", "-id"], name="block_by_blocker"),
            models.Index(fields=["blocked", "blocker"], name="block_by_blocked"),
        ]

    def __str__(self) -> str:
        return f"{self.blocker_id} has blocked {self.blocked_id}"


class Session(models.Model):
    """One login of a user on one device. Its tokens are valid until it ends or expires.

    `expires_at` is when the current refresh token expires. `address` and `user_agent` are those of
    the last refresh.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    # The jti of the current refresh token, that of the token before it, if any, and when the
    # current one replaced it, by the database's clock.
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
        return f"The session on {self.device}"

    @property
    def device(self) -> str:
        """Return what the client calls itself, or that it does not."""
        return self.user_agent or "an unnamed device"


class WebsocketTicket(models.Model):
    """The right to open one websocket, stored as a hash. Redeeming it deletes the row."""

    digest = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+")
    expires_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"for {self.session_id} until {self.expires_at}"


def session_tag(session_id: UUID) -> str:
    """Return the tag of what depends on a session."""
    return f"session:{session_id}"


def user_tag(user_id: UUID) -> str:
    """Return the tag of what depends on a user, such as their name where they are shown."""
    return f"user:{user_id}"
