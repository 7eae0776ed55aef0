"""What the fuzz run needs to know about mail and cannot guess. It reads no mail, so it makes the
links themselves, as the jobs do."""

from collections.abc import Mapping, Sequence
from functools import partial

from apps.accounts.models import User
from apps.core.ids import uuid7
from apps.mail.links import Purpose, link_issue, state_of
from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import People, Person, new_email, newcomer

TOKENS = {
    "auth_email_verify": Purpose.VERIFY,
    "auth_email_change_confirm": Purpose.CHANGE,
    "auth_email_change_undo": Purpose.UNDO,
    "auth_password_reset_confirm": Purpose.RESET,
}


def _token_of(email: str, purpose: str) -> str:
    user = User.objects.get(email=email)
    state = state_of(user, purpose)
    return link_issue(uuid7(), user=user, purpose=purpose, email=email, state=state)


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    # A link ends the sessions of its user, so each has a user of its own.
    return {
        f"tokens_to_{purpose}": [_token_of(newcomer(people.client).email, purpose)]
        for purpose in TOKENS.values()
    }


def _token_for(purpose: str, caller: Person, other: Person) -> str:
    return _token_of(caller.email, purpose)


def _email(caller: Person, other: Person) -> str:
    return caller.email


KNOWLEDGE = Knowledge(
    real={
        "auth_email_change": {"body.currentPassword": "passwords"},
        **{
            operation: {"body.token": f"tokens_to_{purpose}"}
            for operation, purpose in TOKENS.items()
        },
    },
    past=_past,
    reasons={
        "The link is not valid, or not any more. Ask for a new one.",
        "This is your address already.",
    },
    single_use=set(TOKENS),
    values={
        "auth_email_verify_resend.email": _email,
        "auth_password_reset.email": _email,
        "newEmail": lambda caller, other: new_email(),
        **{
            f"{operation}.token": partial(_token_for, purpose)
            for operation, purpose in TOKENS.items()
        },
    },
)
