"""What the fuzz run needs to know about accounts and cannot guess."""

from collections.abc import Mapping, Sequence

from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, PASSWORD, People, Person, new_email


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    cleo = people.cleo
    logins = [
        cleo.post("/auth/login", email=cleo.email, password=PASSWORD) for _ in range(4 * EACH)
    ]
    return {
        "users": [people.ann.id, people.bob.id, cleo.id],
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
    },
    past=_past,
    reasons={
        "Send at least one field to change",
        "This is not your current password.",
        "This password is entirely numeric.",
        "This password is too common.",
        "The password is too similar to the name.",
        "The password is too similar to the email.",
    },
    single_use={"auth_logout", "auth_password_change", "auth_refresh", "auth_session_end"},
    things={
        "auth_session_end": lambda caller, other: str(caller.get("/auth/sessions")[0]["id"]),
        "users_retrieve": lambda caller, other: other.id,
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
