"""What the client raises."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ParleyError(Exception):
    """Any error of the client."""


class Stopped(ParleyError):
    """The client ended and does not come back: by close(), because the server closed the socket
    with `code`, or because the server takes its credentials no more."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class ConnectionLost(ParleyError):
    """The connection could not be opened, or broke. The client comes back by itself.

    `code` is that of the websocket's close, `retry_after` the seconds after which the server wants
    the client back, and `blocked` says that a server was reached which opens no websocket.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        blocked: bool = False,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.retry_after = retry_after
        self.blocked = blocked


class Refused(ParleyError):
    """The server refused a request, and nothing changed. `code` is one of docs/errors.md."""

    # The refusals of these codes pass by themselves: the same request may succeed later.
    TRANSIENT: ClassVar[frozenset[str]] = frozenset(
        {"RATE_LIMIT_EXCEEDED", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_TIMEOUT"}
    )

    def __init__(
        self,
        code: str,
        message: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.errors = errors
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.code in self.TRANSIENT


class Unauthorized(Refused):
    """The credentials are missing, wrong, expired or revoked."""


class Forbidden(Refused):
    """The user may not do this."""


class NotFound(Refused):
    """There is no such thing, or the user may not see it."""


class Invalid(Refused):
    """Fields are wrong; `errors` lists all of them."""


class RateLimited(Refused):
    """The user or their network did this too often."""


BY_CODE: dict[str, type[Refused]] = {
    "UNAUTHORIZED": Unauthorized,
    "FORBIDDEN": Forbidden,
    "NOT_FOUND": NotFound,
    "VALIDATION_ERROR": Invalid,
    "RATE_LIMIT_EXCEEDED": RateLimited,
}


def refusal(data: Mapping[str, Any], retry_after: float | None = None) -> Refused:
    """Return the error that a refusal of the server stands for: the data of an `error`, or the
    body of an HTTP response."""
    code = str(data.get("code", ""))
    made = BY_CODE.get(code, Refused)
    return made(code, str(data.get("message", "")), data.get("errors") or (), retry_after)
