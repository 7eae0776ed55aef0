"""Turns every exception of a view into a refusal in the common envelope."""

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import BadRequest as DjangoBadRequest
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from psycopg.errors import IdleInTransactionSessionTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from apps.core import errors
from apps.core.db.failures import hide_values
from apps.core.http.envelope import refusal

log = structlog.get_logger(__name__)

LONGEST_SENTENCE = 300

_OF_REST_FRAMEWORK: list[tuple[type[Exception], type[errors.DomainError]]] = [
    (exceptions.ParseError, errors.BadRequest),
    (exceptions.NotAuthenticated, errors.Unauthorized),
    (exceptions.AuthenticationFailed, errors.Unauthorized),
    (exceptions.PermissionDenied, errors.Forbidden),
    (exceptions.NotFound, errors.NotFound),
    (exceptions.MethodNotAllowed, errors.MethodNotAllowed),
    (exceptions.NotAcceptable, errors.NotAcceptable),
    (exceptions.UnsupportedMediaType, errors.UnsupportedMediaType),
    (Http404, errors.NotFound),
    (DjangoBadRequest, errors.BadRequest),
    # For example a query with more than a thousand parameters.
    (SuspiciousOperation, errors.BadRequest),
]


def handle(exception: Exception, context: Mapping[str, Any]) -> Response:
    """Return the answer to an exception. The text of an unexpected exception is only logged."""
    return refusal(as_domain_error(exception))


def as_domain_error(exception: Exception) -> errors.DomainError:
    """Return the refusal that an exception stands for, for HTTP and websocket alike."""
    if isinstance(exception, errors.DomainError):
        return exception
    if isinstance(exception, exceptions.ValidationError):
        return errors.Invalid(errors=list(_flatten(exception.detail)))
    for known, error in _OF_REST_FRAMEWORK:
        if isinstance(exception, known):
            return error(str(exception) if known is exceptions.ParseError else "")
    hide_values(exception)
    log.error("unexpected exception", exc_info=exception)
    return unexpected(exception)


def unexpected(exception: BaseException | None) -> errors.DomainError:
    """Return the refusal for an unexpected exception.

    If the database is away, or exceeded its time-outs, the request is not at fault and may be
    repeated as it is.
    """
    if isinstance(exception, OperationalError | InterfaceError):
        return errors.ServiceUnavailable()
    # The driver reports the end of a transaction that was idle for too long as an internal error.
    if isinstance(getattr(exception, "__cause__", None), IdleInTransactionSessionTimeout):
        return errors.ServiceUnavailable()
    return errors.DomainError()


def _flatten(detail: Any, path: str = "") -> Iterator[errors.FieldError]:
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            own = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, ".".join(filter(None, [path, own])))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from _flatten(value, f"{path}.{index}" if nested else path)
    else:
        # A sentence may repeat what the client sent, even a megabyte of it, and PostgreSQL cannot
        # store a NUL in a kept answer.
        sentence = str(detail)[:LONGEST_SENTENCE].replace("\0", "\N{REPLACEMENT CHARACTER}")
        yield errors.FieldError(path or "body", sentence, getattr(detail, "code", "invalid"))
