"""What users do by mail: they verify an address, reset a password, change an address and undo that.

Lock order: the user's row, their sessions, the link's row, then jobs. Passwords are hashed before
(docs/decisions/0008-hash-first.md).
"""

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction

from apps.accounts import passwords
from apps.accounts.email_changes import locked_email_verify
from apps.accounts.errors import EmailTaken, SessionOver, UserNotFound, WrongPassword
from apps.accounts.locks import user_locked
from apps.accounts.models import Session, User
from apps.accounts.password_changes import locked_password_set
from apps.accounts.selectors import active_sessions, is_new_device
from apps.core.ratelimit import consume_action
from apps.mail import tasks
from apps.mail.errors import AddressUnchanged, InvalidLink
from apps.mail.links import Purpose, link_find, link_use, links_end, state_of
from apps.mail.models import MailedLink


def verification_after_registration(user: User) -> None:
    """Mail a new user a link that verifies their address, in the transaction that makes them."""
    tasks.verification_mail.enqueue(user.email)


def notice_after_login(session: Session) -> None:
    """Tell a user by mail of a login on a device that no session of theirs has had, in the
    transaction that begins the session."""
    if is_new_device(session):
        tasks.new_device_mail.enqueue(str(session.user_id), str(session.pk))


def notice_after_password_change(user: User) -> None:
    """Tell a user by mail that they have changed their password, in the transaction of that."""
    tasks.password_changed_mail.enqueue(str(user.pk), by_link=False)


def verification_request(*, email: str, network: str) -> None:
    """Mail the user with this address another link that verifies it; raise RateLimited. There is no
    actor, and the caller does not learn whether there is such a user."""
    _consume(email, network)
    tasks.verification_mail.enqueue(email)


def password_reset_request(*, email: str, network: str) -> None:
    """Mail the user with this address a link to choose a new password; raise RateLimited. There is
    no actor, and the caller does not learn whether there is such a user."""
    _consume(email, network)
    tasks.password_reset_mail.enqueue(email)


def email_verify(*, token: str) -> None:
    """Note that a user reads the mail to their address; raise InvalidLink."""
    _use(token, Purpose.VERIFY, lambda user, link: locked_email_verify(user, link.email))


def password_reset(*, token: str, new_password: str) -> None:
    """Give a user a new password, end all of their sessions and tell them by mail; raise
    InvalidLink, or Invalid for a weak password. Their address is verified by it."""
    link = link_find(token, Purpose.RESET)
    passwords.require_strong(new_password, link.user, "newPassword")
    new_hash = passwords.hashed(new_password)

    def reset(user: User, link: MailedLink) -> None:
        locked_password_set(user, new_hash)
        locked_email_verify(user, link.email)
        tasks.password_changed_mail.enqueue(str(user.pk))

    _use(token, Purpose.RESET, reset)


def email_change_prepare(actor: User, *, current_password: str) -> str:
    """Compare the actor's password, outside of any transaction, and return the hash that it
    matched; raise WrongPassword."""
    if not passwords.compare(current_password, actor.password).matches:
        raise WrongPassword.current()
    return actor.password


@transaction.atomic
def email_change_request(
    actor: User, *, new_email: str, compared_with: str, session_id: UUID
) -> None:
    """Mail a link to the address that the actor wants, which makes it theirs; raise WrongPassword
    if the password has changed since it was compared, SessionOver if the session has ended since,
    AddressUnchanged, or EmailTaken."""
    user = user_locked(actor.pk)
    if user.password != compared_with:
        raise WrongPassword.current()
    if not active_sessions().filter(user=user, pk=session_id).exists():
        raise SessionOver
    if new_email == user.email:
        raise AddressUnchanged.new()
    if User.objects.filter(email=new_email).exists():
        raise EmailTaken
    consume_action("mail_address", new_email)
    state = state_of(user, Purpose.CHANGE)
    tasks.email_change_mail.enqueue(str(user.pk), new_email, state)


def email_change(*, token: str) -> None:
    """Give a user the address that the link was mailed to, and tell them at their old one; raise
    InvalidLink, or EmailTaken if it has become somebody else's meanwhile."""

    def change(user: User, link: MailedLink) -> None:
        old_email = user.email
        locked_email_verify(user, link.email)
        tasks.email_changed_mail.enqueue(str(user.pk), old_email)

    _use(token, Purpose.CHANGE, change)


def email_change_undo(*, token: str) -> None:
    """Give a user their old address back; raise InvalidLink, or EmailTaken.

    The client that changed it knew the password. So the password is void, all sessions end, links
    made since the change are void, and the old address is mailed a link to choose a new password.
    """

    def undo(user: User, link: MailedLink) -> None:
        locked_email_verify(user, link.email)
        locked_password_set(user, make_password(None))
        links_end(user, since=link)
        tasks.password_reset_mail.enqueue(link.email)

    _use(token, Purpose.UNDO, undo)


def _use(token: str, purpose: str, act: Callable[[User, MailedLink], None]) -> None:
    """Use up a link and act for its user, in one transaction; raise InvalidLink. There is no actor,
    because only the link tells who the user is."""
    link = link_find(token, purpose)
    with transaction.atomic():
        try:
            user = user_locked(link.user_id)
        except UserNotFound:
            raise InvalidLink.token() from None
        link_use(link, user)
        act(user, link)


def _consume(email: str, network: str) -> None:
    consume_action("mail_network", network)
    consume_action("mail_address", email)
