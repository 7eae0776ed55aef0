"""What the fuzz run needs to know about accounts and cannot guess."""

from collections.abc import Mapping, Sequence

from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, PASSWORD, People, Person, new_email, newcomer


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    cleo = people.cleo
    logins = [
        cleo.post("/auth/login", email=cleo.email, password=PASSWORD) for _ in range(4 * EACH)
    ]
    return {
        "users": [people.ann.id, people.bob.id, cleo.id],
        # To block one of those above would have the rest of the run refused.
        "newcomers": [newcomer(people.client).id for _ in range(2)],
        # The latest logins come first, so that these sessions are not those of the refresh tokens.
        "sessions": [session["id"] for session in cleo.get("/auth/sessions")[: 2 * EACH]],
        "refresh_tokens": [login["refreshToken"] for login in logins[: 2 * EACH]],
        "emails": [cleo.email],
        "passwords": [PASSWORD],
    }


def _refresh_token(caller: Person, other: Person) -> str:
    login = caller.post("/auth/login", email=caller.email, password=PASSWORD)
    return str(login["refreshToken"])


KNOWLEDGE = Knowledge(
    real={
        "auth_login": {"body.email": "emails", "body.password": "passwords"},
        "auth_password_change": {
            "body.currentPassword": "passwords",
            "body.newPassword": "passwords",
        },
        "auth_refresh": {"body.refreshToken": "refresh_tokens"},
        "auth_register": {"body.password": "passwords"},
        "auth_session_end": {"path.session_id": "sessions"},
        "users_retrieve": {"path.id": "users"},
        "users_follow": {"path.id": "users"},
        "users_unfollow": {"path.id": "users"},
        "users_followers": {"path.id": "users"},
        "users_following": {"path.id": "users"},
        "users_block": {"path.id": "newcomers"},
        "users_unblock": {"path.id": "newcomers"},
    },
    past=_past,
    reasons={
        "Send at least one field to change",
        "This is not your current password.",
        "This is only possible with another user.",
        "This password is entirely numeric.",
        "This password is too common.",
        "The password is too similar to the name.",
        "The password is too similar to the email.",
    },
    single_use={"auth_logout", "auth_password_change", "auth_refresh", "auth_session_end"},
    things={
        "auth_session_end": lambda caller, other: str(caller.get("/auth/sessions")[0]["id"]),
        "users_retrieve": lambda caller, other: other.id,
        "users_follow": lambda caller, other: other.id,
        "users_unfollow": lambda caller, other: other.id,
        "users_followers": lambda caller, other: other.id,
        "users_following": lambda caller, other: other.id,
        "users_block": lambda caller, other: newcomer(caller.client).id,
        "users_unblock": lambda caller, other: newcomer(caller.client).id,
    },
    values={
        "auth_login.email": lambda caller, other: caller.email,
        "email": lambda caller, other: new_email(),
        "refreshToken": _refresh_token,
        "password": lambda caller, other: PASSWORD,
        "currentPassword": lambda caller, other: PASSWORD,
        "newPassword": lambda caller, other: PASSWORD,
    },
)
