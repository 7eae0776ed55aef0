"""New users: the two halves of creating one, which registering and the operator's commands share.

The first half hashes the password, outside of any transaction
(docs/decisions/0008-hash-first.md). The second one is a part of its caller's transaction.
"""

from django.db import IntegrityError, transaction

from apps.accounts import passwords
from apps.accounts.errors import EmailTaken
from apps.accounts.models import USERS_TAG, User
from apps.core.kept import drop_when_committed


def user_prepare(*, name: str, email: str, password: str, role: str = User.Role.USER) -> User:
    """Return a user who is not stored yet; raise Invalid for a password that is weak for them."""
    user = User(name=name, email=email, role=role)
    passwords.require_strong(password, user, "password")
    user.password = passwords.hashed(password)
    return user


def user_insert(user: User) -> None:
    """Store a new user; raise EmailTaken. It needs a transaction, which a refusal does not end."""
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise EmailTaken from error
    drop_when_committed(USERS_TAG)
