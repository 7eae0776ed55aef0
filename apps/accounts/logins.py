"""Registering and logging in: the writes that take a password and begin a session. They have no
actor: who comes is known only once they are in.

Lock order: a user's row, then the stream of their events.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts import passwords
from apps.accounts.errors import EmailTaken, InvalidCredentials, UserNotFound
from apps.accounts.events import logins_failing
from apps.accounts.models import Session, User
from apps.accounts.services import user_locked
from apps.accounts.sessions import Device, Login, logged_in, session_begin
from apps.core.addresses import network_of
from apps.core.ratelimit import action_refusals, consume_action

# By how much answers are held back once an account is tried too often, and how often its owner is
# told.
HELD_BACK_SECONDS = 2.0
TOLD_EVERY = timedelta(hours=1)

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
        return logged_in(session_begin(user, device))


def login_attempt(*, email: str, address: str) -> float:
    """Count an attempt to log in, before anything is compared, and return by how many seconds its
    answer is to be held back, right or wrong; raise RateLimited.

    Who tries too often from one address is refused there. The attempts on an account from anywhere
    refuse nobody, or anybody could lock its owner out: they make guessing slow, and the owner is
    told. An unknown address is treated alike.
    """
    network = network_of(address)
    consume_action("login_address", network)
    consume_action("login", f"{network} {email}")
    [beyond] = action_refusals("login_account", [email])
    if beyond is None:
        return 0.0
    began = time.monotonic()
    _tell_owner(email)
    # The time that this took must not tell whether there is an owner.
    return max(0.0, HELD_BACK_SECONDS - (time.monotonic() - began))


def user_login(*, email: str, password: str, device: Device) -> Login:
    """Begin a session; raise InvalidCredentials, alike and after the same time for an unknown
    address, a wrong password and a disabled user."""
    return logged_in(_admit(email, password, partial(session_begin, device=device)))


def moderator_login(*, email: str, password: str, device: Device) -> Session:
    """Begin a session of the admin's pages; raise InvalidCredentials likewise, and for who may not
    enter them."""

    def enter(user: User) -> Session:
        if not user.is_moderator:
            raise InvalidCredentials
        return session_begin(user, device)

    return _admit(email, password, enter)


def _tell_owner(email: str) -> None:
    now = timezone.now()
    due = User.objects.filter(Q(alerted_at=None) | Q(alerted_at__lt=now - TOLD_EVERY), email=email)
    # On SQLite an UPDATE of nothing would wait for other writers all the same.
    owner = due.values_list("pk", flat=True).first()
    if owner is None:
        return
    with transaction.atomic():
        if due.update(alerted_at=now):
            logins_failing(owner)


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
