"""Registering and logging in: the writes that take a password and begin a session."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.db import IntegrityError, transaction

from apps.accounts import passwords
from apps.accounts.errors import EmailTaken, InvalidCredentials, UserNotFound
from apps.accounts.models import User
from apps.accounts.services import user_locked
from apps.accounts.sessions import Device, Login, session_begin
from apps.core.ratelimit import spend_action

T = TypeVar("T")


def user_register(*, name: str, email: str, password: str, device: Device) -> Login:
    """Make a user and log them in; raise EmailTaken, or Invalid for a password that is too weak."""
    user = User(name=name, email=email)
    passwords.require_good(password, user, "password")
    user.password = passwords.hashed(password)
    with transaction.atomic():
        try:
            with transaction.atomic():
                user.save(force_insert=True)
        except IntegrityError as error:
            raise EmailTaken from error
        return session_begin(user, device)


def user_login(*, email: str, password: str, device: Device) -> Login:
    """Begin a session; raise InvalidCredentials, alike and after the same time for an unknown
    address, a wrong password and a disabled user."""
    spend_action("login", f"{email} {device.address}")
    spend_action("login_account", email)
    return _admit(email, password, partial(session_begin, device=device))


def _admit(email: str, password: str, enter: Callable[[User], T]) -> T:
    """Return what `enter` makes of the user, under their lock; raise InvalidCredentials.

    The password is compared before the lock is taken. Under it the user must still have the hash
    that it was compared with, and the status: what changes either looks for sessions to end under
    the same lock, and would miss one that began a moment later.
    """
    while True:
        found, verdict = _compare(email, password)
        with transaction.atomic():
            user = _locked_active(found)
            if user.password == found.password:
                if verdict.fresh is not None:
                    user.password = verdict.fresh
                    user.save(update_fields=["password"])
                return enter(user)
        # Another hash is there now: of another password, or, when another login has renewed an old
        # hash, of this very one. Only to compare again tells.


def _locked_active(found: User) -> User:
    try:
        user = user_locked(found.pk)
    except UserNotFound as error:
        raise InvalidCredentials from error
    if not user.is_active:
        raise InvalidCredentials
    return user


def _compare(email: str, password: str) -> tuple[User, passwords.Verdict]:
    user = User.objects.filter(email=email).first()
    if user is None:
        # The hasher's time would otherwise tell which addresses are known.
        passwords.verify_nothing(password)
        raise InvalidCredentials
    verdict = passwords.verify(password, user.password)
    if not verdict.right or not user.is_active:
        raise InvalidCredentials
    return user, verdict
