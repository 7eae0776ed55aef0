"""Users as they are sent, for paths that are too hot for serializers. Tests hold each equal to the
serializer that OpenAPI is made from, once dumps() has made JSON of it: that writes ids and times
much faster than Python does."""

from typing import Any

# The columns that user_shape() needs.
USER_COLUMNS = ("id", "name", "role", "bio", "avatar_url", "created_at")


def user_shape(user: Any) -> dict[str, Any]:
    """Return what UserOutput shows of a user, or of a row with USER_COLUMNS."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "bio": user.bio,
        "avatarUrl": user.avatar_url,
        "createdAt": user.created_at,
    }


def profile_shape(user: Any) -> dict[str, Any]:
    """Return what ProfileOutput shows of a user."""
    return {
        **user_shape(user),
        "email": user.email,
        "emailVerified": user.email_verified,
        "status": user.status,
        "updatedAt": user.updated_at,
    }
