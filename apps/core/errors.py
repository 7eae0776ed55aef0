"""What the domain refuses, in terms that HTTP and the websocket share.

Every refusal has a code for programs, a sentence for people and, over HTTP, a status
(contract 1.1). Apps name their own by subclassing; nothing here knows of a request.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One wrong field: its dotted path, a sentence, and the code of the rule that it broke."""

    field: str
    message: str
    code: str

    def as_dict(self) -> dict[str, str]:
        """Return the error as it stands in `errors` of an answer."""
        return asdict(self)


class DomainError(Exception):
    """A refusal. Subclasses give the code, the status and the sentence."""

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
        """Return code, message and field errors, which both wires render alike."""
        errors = {"errors": [error.as_dict() for error in self.errors]} if self.errors else {}
        return {"message": self.message, "code": self.code, **errors}


def require(allowed: bool, refusal: type[DomainError]) -> None:
    """Raise the refusal unless it is allowed: how every service says what a policy decides."""
    if not allowed:
        raise refusal


class BadRequest(DomainError):
    status, code, message = 400, "BAD_REQUEST", "The request could not be understood"


class UnknownHost(BadRequest):
    message = "This server does not go by that name; see APP_ALLOWED_HOSTS"


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
        """Return the refusal of one field."""
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
