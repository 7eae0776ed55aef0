"""Accounts on the wire."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from rest_framework import serializers

from apps.accounts.emails import MAX_EMAIL_LENGTH, canonical_email
from apps.accounts.models import User
from apps.accounts.passwords import normalized
from apps.accounts.shapes import profile_shape, user_shape
from apps.core.http.envelope import plain
from apps.core.http.pagination import ListQuery
from apps.core.serializers import CamelSerializer, Text


class Email(serializers.EmailField):
    """An e-mail address in its canonical spelling."""

    def __init__(self) -> None:
        super().__init__(max_length=MAX_EMAIL_LENGTH)

    def to_internal_value(self, data: Any) -> str:
        """Return the canonical address; fail for anything but a string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return canonical_email(super().to_internal_value(data))


class Password(Text):
    """A password. Its length is counted in the normalised form, which is hashed."""

    def __init__(self, *, min_length: int = 1) -> None:
        super().__init__(min_length=min_length, max_length=128, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> str:
        """Return the normalised password."""
        return normalized(super().to_internal_value(data))


class NewPassword(Password):
    """A password that is strong enough, as far as that can be checked without its user."""

    def __init__(self) -> None:
        super().__init__(min_length=8)
        self.validators.append(_require_strength)


def _require_strength(password: str) -> None:
    # The length limit already reports a password that is too short.
    if len(password) >= 8:
        validate_password(password)


class RegisterInput(CamelSerializer):
    name = Text(min_length=2, max_length=255)
    email = Email()
    password = NewPassword()


class LoginInput(CamelSerializer):
    email = Email()
    password = Password()


class RefreshInput(CamelSerializer):
    refresh_token = Text(min_length=1, max_length=4096)


class ProfileInput(CamelSerializer):
    """At least one field."""

    rule = {"minProperties": 1}

    name = Text(min_length=2, max_length=255, required=False)
    bio = Text(max_length=1000, required=False, allow_blank=True)


class PasswordChangeInput(CamelSerializer):
    current_password = Password()
    new_password = NewPassword()


class UserQuery(ListQuery):
    search = serializers.CharField(max_length=100, required=False, allow_blank=True)


class UserOutput(CamelSerializer):
    """A user as everybody sees them: without their e-mail address."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(User.Role.choices)
    bio = serializers.CharField(allow_blank=True)
    avatar_url = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()

    @classmethod
    def dump(cls, thing: User) -> dict[str, Any]:
        """Return a user as they are sent."""
        return plain(user_shape(thing))


class ProfileOutput(UserOutput):
    """A user as they see themselves."""

    email = serializers.EmailField()
    email_verified = serializers.BooleanField()
    status = serializers.ChoiceField(User.Status.choices)
    updated_at = serializers.DateTimeField()

    @classmethod
    def dump(cls, thing: User) -> dict[str, Any]:
        """Return a user as they see themselves."""
        return plain(profile_shape(thing))


class LoginOutput(CamelSerializer):
    """The result of a login or a refresh."""

    user = ProfileOutput()
    access_token = serializers.CharField(source="tokens.access")
    refresh_token = serializers.CharField(source="tokens.refresh")
    expires_in = serializers.IntegerField(
        source="tokens.expires_in", help_text="Seconds until the access token expires."
    )


class SessionOutput(CamelSerializer):
    """One of a user's sessions."""

    id = serializers.UUIDField(source="session.id")
    address = serializers.CharField(source="session.address", allow_blank=True)
    user_agent = serializers.CharField(source="session.user_agent", allow_blank=True)
    created_at = serializers.DateTimeField(source="session.created_at")
    last_used_at = serializers.DateTimeField(source="session.last_used_at")
    current = serializers.BooleanField()
    sockets = serializers.IntegerField()


class TicketOutput(CamelSerializer):
    """The right to open one websocket."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")


class SecurityAlertPayload(CamelSerializer):
    reason = serializers.ChoiceField(["failed_logins"])
    at = serializers.DateTimeField()
