"""The refusals of mail."""

from apps.core.errors import DomainError, Invalid


class InvalidLink(Invalid):
    @classmethod
    def token(cls) -> Invalid:
        """Return the refusal of a token that is wrong, used up, too old or of another purpose."""
        return cls.field(
            "token", "The link is not valid, or not any more. Ask for a new one.", "invalid_token"
        )


class AddressUnchanged(Invalid):
    @classmethod
    def new(cls) -> Invalid:
        """Return the refusal of a change to the present address."""
        return cls.field("newEmail", "This is your address already.", "unchanged")


class MailRefused(DomainError):
    """The mail server refuses the address for good. A job ends with it, and no client sees it."""

    message = "The mail server refuses the address"
