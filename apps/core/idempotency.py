"""A POST that is repeated with its Idempotency-Key has its effect once (contract 1.3)."""

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.envelope import dumps
from apps.core.errors import BadRequest, Conflict, Invalid, MethodNotAllowed
from apps.core.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Handler = Callable[..., Response]


class IdempotencyKeyReused(Invalid):
    code, message = "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request"


class StillRunning(Conflict):
    message = "The first request with this Idempotency-Key is still running"


class FailedAnswer(Exception):
    """Carries a 5xx out of the transaction, so that nothing of its attempt is kept."""

    def __init__(self, response: Response) -> None:
        self.response = response


class IdempotentMixin:
    """Gives every POST of a known user its Idempotency-Key.

    Requests of strangers have no owner to keep an answer for, and theirs would hold credentials;
    docs/decisions/0003-idempotency.md.
    """

    handle_exception: Callable[[Exception], Response]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Have the handler run under its key, once the request may pass."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None or not request.user.is_authenticated:
            return
        if not hasattr(self, "post"):
            raise MethodNotAllowed
        if not _KEY.fullmatch(key):
            raise Invalid.field("Idempotency-Key", "Use 1 to 255 visible ASCII characters.")
        handler: Handler = self.post

        def once(request: Request, *args: Any, **kwargs: Any) -> Response:
            return run_once(key, request, lambda: self._answer(handler, request, *args, **kwargs))

        self.post: Handler = once

    def _answer(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            with transaction.atomic():
                return handler(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            return self.handle_exception(error)


def run_once(key: str, request: Request, answer: Callable[[], Response]) -> Response:
    """Return the answer to the first request with this key, now or from then.

    The key's row is committed first and then locked for as long as the effect takes. So a second
    request finds it locked (409), answered (the same answer), or, when a process died on the way,
    neither, and then takes its place.
    """
    row, _ = IdempotencyKey.objects.get_or_create(
        user_id=_owner(request), key=key, defaults={"fingerprint": _fingerprint(request)}
    )
    try:
        with transaction.atomic():
            return _run_locked(row.pk, request, answer)
    except FailedAnswer as failed:
        return failed.response


def _run_locked(row_id: Any, request: Request, answer: Callable[[], Response]) -> Response:
    try:
        row = IdempotencyKey.objects.select_for_update(nowait=True).get(pk=row_id)
    except DatabaseError as error:
        raise StillRunning from error
    except IdempotencyKey.DoesNotExist as error:
        # It was pruned between the two transactions; the client's next try starts afresh.
        raise StillRunning from error
    if not hmac.compare_digest(row.fingerprint, _fingerprint(request)):
        raise IdempotencyKeyReused
    if row.status is not None:
        return Response(row.body, row.status, headers={"Idempotent-Replayed": "true"})
    response = answer()
    if response.status_code >= 500:
        raise FailedAnswer(response)
    row.status, row.body = response.status_code, orjson.loads(dumps(response.data))
    row.save(update_fields=["status", "body"])
    return response


def _owner(request: Request) -> UUID:
    user_id: UUID = request.user.pk  # type: ignore[assignment]
    return user_id


def _fingerprint(request: Request) -> str:
    """Return a keyed hash of route and body, from which no password can be guessed."""
    try:
        body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise BadRequest("The body is nested too deeply for an Idempotency-Key") from error
    said = request.path.encode() + b"\0" + body
    return hmac.new(settings.SECRET_KEY.encode(), said, hashlib.sha256).hexdigest()


def idempotency_keys_prune() -> int:
    """Delete the keys that no client may count on any more and return how many there were."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]
