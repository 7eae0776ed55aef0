"""Registering and logging in: the writes that take a password and begin a session. They have no
actor, because only the password tells who the user is. The lock order is in locks.py."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts import passwords
from apps.accounts.errors import AccountSuspended, InvalidCredentials, UserNotFound
from apps.accounts.events import alert_failed_logins
from apps.accounts.locks import user_locked
from apps.accounts.models import Session, User, user_tag
from apps.accounts.new_users import user_insert, user_prepare
from apps.accounts.sessions import Device, Login, session_begin
from apps.core.addresses import network_of
from apps.core.features import after_login, after_registration
from apps.core.kept import drop_when_committed
from apps.core.ratelimit import action_refusals, consume_action

# How long the server delays the response to a login beyond the account's limit.
LOGIN_DELAY_SECONDS = 2.0
# The server alerts an account's owner at most this often.
ALERT_INTERVAL = timedelta(hours=1)


def user_register(*, name: str, email: str, password: str, device: Device) -> Login:
    """Create a user and log them in; raise EmailTaken, or Invalid for a weak password."""
    user = user_prepare(name=name, email=email, password=password)
    with transaction.atomic():
        user_insert(user)
        after_registration(user)
        return Login.of(session_begin(user, device))


def login_attempt(*, email: str, address: str) -> float:
    """Count a login attempt before the password is compared. Return how many seconds to delay the
    response, whether the password is right or wrong; raise RateLimited.

    The server refuses a client that tries too often from one address. The account's own limit
    refuses nobody, because anybody could then lock the owner out: beyond it responses are delayed,
    which makes guessing slow, and the owner is alerted. An e-mail address without an account is
    treated in the same way.
    """
    network = network_of(address)
    consume_action("login_address", network)
    consume_action("login", f"{network} {email}")
    [refusal] = action_refusals("login_account", [email])
    if refusal is None:
        return 0.0
    began = time.monotonic()
    _alert_owner(email)
    # The time that the alert took must not reveal whether the account exists.
    return max(0.0, LOGIN_DELAY_SECONDS - (time.monotonic() - began))


def user_login(*, email: str, password: str, device: Device) -> Login:
    """Begin a session. Raise InvalidCredentials for an unknown e-mail address, a wrong password and
    a disabled user, with the same message and after the same time. Raise AccountSuspended, again
    after the same time, for a suspended user: only who knows the password learns of it."""
    return Login.of(_authenticate(email, password, partial(session_begin, device=device)))


def moderator_login(*, email: str, password: str, device: Device) -> Session:
    """Begin a session of the admin's pages; raise what user_login() raises, and InvalidCredentials
    for a user who is not a moderator."""

    def begin(user: User) -> Session:
        if not user.is_moderator:
            raise InvalidCredentials
        return session_begin(user, device)

    return _authenticate(email, password, begin)


def _alert_owner(email: str) -> None:
    now = timezone.now()
    due = User.objects.filter(
        Q(alerted_at=None) | Q(alerted_at__lt=now - ALERT_INTERVAL), email=email
    )
    # On SQLite an UPDATE that matches no row would still wait for other writers.
    owner = due.values_list("pk", flat=True).first()
    if owner is None:
        return
    with transaction.atomic():
        if due.update(alerted_at=now):
            alert_failed_logins(owner)


def _authenticate(email: str, password: str, begin: Callable[[User], Session]) -> Session:
    """Call `begin` with the user under their lock and return what it returns; raise
    InvalidCredentials or AccountSuspended.

    The password is compared before the lock is taken. Under the lock the user must still be active
    and have the hash that the password was compared with. A change of either takes the same lock
    and ends the sessions that it finds, so it would miss a session that begins a moment later.
    """
    while True:
        found, comparison = _compare(email, password)
        with transaction.atomic():
            user = _locked(found)
            if user.password == found.password:
                _require_active(user)
                if comparison.new_hash is not None:
                    user.password = comparison.new_hash
                    user.save(update_fields=["password"])
                    drop_when_committed(user_tag(user.pk))
                session = begin(user)
                after_login(session)
                return session
        # The hash has changed: the user has a new password, or another login has renewed the hash
        # of the same password. Only comparing again can tell.


def _locked(found: User) -> User:
    try:
        return user_locked(found.pk)
    except UserNotFound as error:
        raise InvalidCredentials from error


def _require_active(user: User) -> None:
    """Refuse a user who may not log in, and whose password was right."""
    if user.status == User.Status.SUSPENDED:
        raise AccountSuspended
    if not user.is_active:
        raise InvalidCredentials


def _compare(email: str, password: str) -> tuple[User, passwords.Comparison]:
    user = User.objects.filter(email=email).first()
    if user is None:
        # Without this the response time would reveal which e-mail addresses have accounts.
        passwords.compare_with_nothing(password)
        raise InvalidCredentials
    comparison = passwords.compare(password, user.password)
    if not comparison.matches:
        raise InvalidCredentials
    _require_active(user)
    return user, comparison
