"""What the mails about an account say. They never repeat what a user has written about themselves:
anybody can register the address of somebody else."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class Letter:
    """A mail as its reader sees it. `button` leads to the page `page`, with the token if there is
    one. Each of the `lines` has the address that it leads to, or none."""

    subject: str
    paragraphs: Sequence[str]
    button: str = ""
    page: str = ""
    token: str = ""
    closing: str = ""
    lines: Sequence[tuple[str, str]] = ()
    # Where its reader stops such mails; none for those about the account, which nobody can stop.
    unsubscribe_url: str = ""

    @property
    def url(self) -> str:
        """Return the address of the page. The token is in its fragment, which no browser sends."""
        fragment = f"#{self.token}" if self.token else ""
        return f"{settings.APP_URL}/{self.page}{fragment}"


VERIFY_PAGE, RESET_PAGE = "account/verify", "account/reset"
CHANGE_PAGE, UNDO_PAGE = "account/change", "account/undo"
NOT_YOU = "If it was not you, ignore this mail: nothing happens then."
RESET_NOW = "If it was not you, reset your password now"
CHANGED_SUBJECT = "Your password was changed"


def verification(token: str) -> Letter:
    """Ask a user whether an address is theirs."""
    return Letter(
        subject="Confirm your e-mail address",
        paragraphs=["Somebody has registered with this address. If it was you, confirm it."],
        button="Confirm the address",
        page=VERIFY_PAGE,
        token=token,
        closing=f"The link is good for 3 days. {NOT_YOU}",
    )


def reset(token: str) -> Letter:
    """Let a user choose a new password."""
    return Letter(
        subject="Reset your password",
        paragraphs=["Somebody has asked for a new password of your account."],
        button="Choose a new password",
        page=RESET_PAGE,
        token=token,
        closing=f"The link is good for 1 hour. {NOT_YOU}",
    )


def password_reset() -> Letter:
    """Tell a user that their password was reset."""
    return Letter(
        subject=CHANGED_SUBJECT,
        paragraphs=[
            "Your password was changed by a link that was mailed to you. All your devices are "
            "logged out.",
            f"{RESET_NOW}, and change the password of your mailbox.",
        ],
    )


def password_changed() -> Letter:
    """Tell a user that somebody who knew their password has changed it."""
    return Letter(
        subject=CHANGED_SUBJECT,
        paragraphs=[
            "Your password was changed on one of your devices. All others are logged out.",
            f"{RESET_NOW}. If it was, there is nothing to do.",
        ],
    )


def change(token: str) -> Letter:
    """Ask a user whether their new address is theirs."""
    return Letter(
        subject="Confirm your new e-mail address",
        paragraphs=["Somebody wants to use this address for their account. If it is you, confirm."],
        button="Use this address",
        page=CHANGE_PAGE,
        token=token,
        closing=f"The link is good for 3 days. {NOT_YOU}",
    )


def changed(token: str) -> Letter:
    """Tell a user at their old address that their account has another one now."""
    return Letter(
        subject="Your e-mail address was changed",
        paragraphs=[
            "Your account has another e-mail address now, and sends no more mail to this one.",
            "If it was not you, take your account back: it gets this address again, all devices "
            "are logged out, and you are mailed a link to choose a new password.",
        ],
        button="Take the account back",
        page=UNDO_PAGE,
        token=token,
        closing="The link is good for 7 days. If it was you, ignore this mail.",
    )


def new_device(*, user_agent: str, address: str, at: str) -> Letter:
    """Tell a user that somebody has logged in as them on a device that was not seen before."""
    return Letter(
        subject="A login on a new device",
        paragraphs=[
            "Somebody has logged in to your account on a device that was not used before.",
            f"Device: {user_agent}",
            f"Network address: {address}",
            f"Time: {at}",
            f"{RESET_NOW}. If it was, there is nothing to do.",
        ],
    )
