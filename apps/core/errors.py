"""The refusals of the domain, which HTTP and the websocket share.

Every refusal has a code for programs, a sentence for users and, over HTTP, a status. Each app
declares its own as subclasses. Nothing in this module knows about requests.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One invalid field: its dotted path, a sentence, and the code of the rule that it breaks."""

    field: str
    message: str
    code: str

    def as_dict(self) -> dict[str, str]:
        """Return the error as an item of `errors` in an answer."""
        return asdict(self)


class DomainError(Exception):
    """A refusal. Subclasses set the code, the status and the sentence."""

    status = 500
    code = "INTERNAL_ERROR"
    message = "Internal server error"

    def __init__(self, message: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message
        self.errors = list(errors)

    @property
    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that go with this refusal."""
        return {}

    def as_dict(self) -> dict[str, Any]:
        """Return code, message and field errors, as HTTP and the websocket both send them."""
        errors = {"errors": [error.as_dict() for error in self.errors]} if self.errors else {}
        return {"message": self.message, "code": self.code, **errors}


def require(allowed: bool, refusal: type[DomainError]) -> None:
    """Raise the refusal unless it is allowed. Services enforce what a policy decides with this."""
    if not allowed:
        raise refusal


class BadRequest(DomainError):
    status, code, message = 400, "BAD_REQUEST", "The request could not be understood"


class UnknownHost(BadRequest):
    message = "This server does not serve that host; see APP_ALLOWED_HOSTS"


class Unauthorized(DomainError):
    status, code, message = 401, "UNAUTHORIZED", "Authentication is required"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(DomainError):
    status, code, message = 403, "FORBIDDEN", "You are not allowed to do this"


class NotFound(DomainError):
    status, code, message = 404, "NOT_FOUND", "Not found"


class MethodNotAllowed(DomainError):
    status, code, message = 405, "METHOD_NOT_ALLOWED", "This method is not allowed here"


class NotAcceptable(DomainError):
    status, code, message = 406, "NOT_ACCEPTABLE", "Only application/json can be returned"


class RequestTimeout(DomainError):
    status, code, message = 408, "REQUEST_TIMEOUT", "The request body did not arrive in time"


class Conflict(DomainError):
    status, code, message = 409, "CONFLICT", "This conflicts with the present state"


class PreconditionFailed(DomainError):
    status, code = 412, "PRECONDITION_FAILED"
    message = "This was changed since you read it. Read it again and repeat your change."


class PayloadTooLarge(DomainError):
    status, code, message = 413, "PAYLOAD_TOO_LARGE", "The request body is too large"


class UnsupportedMediaType(DomainError):
    status, code, message = 415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json"


class Invalid(DomainError):
    status, code, message = 422, "VALIDATION_ERROR", "Some fields are not valid"

    @classmethod
    def field(cls, field: str, message: str, code: str = "invalid") -> "Invalid":
        """Return the refusal for one invalid field."""
        return cls(errors=[FieldError(field, message, code)])


class HeadersTooLarge(DomainError):
    status, code, message = (
        431,
        "HEADERS_TOO_LARGE",
        "The head of the request is larger than 32 KiB",
    )


class RateLimited(DomainError):
    status, code, message = 429, "RATE_LIMIT_EXCEEDED", "Too many requests. Try again later."

    def __init__(self, *, limit: int, remaining: int, reset: int, retry_after: int) -> None:
        super().__init__()
        self._headers = {
            "Retry-After": str(retry_after),
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(remaining),
            "RateLimit-Reset": str(reset),
        }

    @property
    def headers(self) -> dict[str, str]:
        return self._headers


class ServiceUnavailable(DomainError):
    status, code, message = 503, "SERVICE_UNAVAILABLE", "A part of the service is down. Try again."

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "5"}


class Busy(ServiceUnavailable):
    message = "The server is busy. Try again in a moment."


# The refusals that do not depend on the operation. openapi.yaml says them once, and each operation
# has them as its `default` response.
EVERYWHERE: Sequence[type[DomainError]] = (
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    HeadersTooLarge,
    DomainError,
    ServiceUnavailable,
)
