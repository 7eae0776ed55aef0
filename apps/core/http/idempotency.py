"""A POST that is repeated with the same Idempotency-Key has its effect once."""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Min, QuerySet
from django.utils import timezone
from psycopg.errors import LockNotAvailable
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.db.redaction import Overlay, redact_json
from apps.core.errors import BadRequest, Conflict, Invalid, MethodNotAllowed, RateLimited
from apps.core.http.envelope import dumps
from apps.core.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)
# Per user: seven a minute, all day long.
MOST_KEPT = 10_000

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Finish = Callable[[], Response]


class IdempotencyKeyReused(Invalid):
    code, message = "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request"


class StillRunning(Conflict):
    message = "The first request with this Idempotency-Key is still running"


class TooManyKeys(RateLimited):
    """A user has MOST_KEPT keys. None of them may be deleted early: its client relies on it."""

    code = "TOO_MANY_IDEMPOTENCY_KEYS"
    message = "You have used too many Idempotency-Keys today. Try again later."


class FailedAnswer(Exception):
    """Carries a 5xx out of the transaction, so that nothing of its attempt is kept."""

    def __init__(self, response: Response) -> None:
        self.response = response


class IdempotentMixin:
    """Honours the Idempotency-Key of every POST of an authenticated user.

    An anonymous request has no owner to keep the answer for, and its answer would hold credentials;
    see docs/decisions/0003-idempotency.md.
    """

    handle_exception: Callable[[Exception], Response]
    post: Any

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Wrap the handler so that it runs under the key, after all checks of the request."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None or not request.user.is_authenticated:
            return
        if not hasattr(self, "post"):
            raise MethodNotAllowed
        if not self.post.endpoint.keeps_answers:
            return
        if not _KEY.fullmatch(key):
            raise Invalid.field("Idempotency-Key", "Use 1 to 255 visible ASCII characters.")
        prepare = partial(self.post.prepare, self)

        def once(*args: Any, **kwargs: Any) -> Response:
            return run_once(key, request, partial(self._prepare, prepare, *args, **kwargs))

        self.post = once

    def _prepare(self, prepare: Callable[..., Finish], *args: Any, **kwargs: Any) -> Finish:
        """Do the slow part of the handler, and return a function for the rest. Neither raises."""
        try:
            return partial(self._answer, prepare(*args, **kwargs))
        except Exception as error:  # noqa: BLE001
            return partial(self.handle_exception, error)

    def _answer(self, finish: Finish) -> Response:
        try:
            with transaction.atomic():
                return finish()
        except Exception as error:  # noqa: BLE001
            return self.handle_exception(error)


def run_once(key: str, request: Request, prepare: Callable[[], Finish]) -> Response:
    """Return the answer to the first request with this key: a new one, or the kept one.

    The key's row is committed first and then locked while the effect is made. A second request
    finds the row answered and returns that answer, or finds it locked and is refused with 409. If
    it finds neither, the first process has died, and the second request does the work. The slow
    part runs in between, while no lock is held.
    """
    fingerprint = _fingerprint(request)
    row = _row(_owner(request), key, fingerprint)
    if (kept := _kept_answer(row, fingerprint)) is not None:
        return kept
    finish = prepare()
    try:
        with transaction.atomic():
            return _run_locked(row.pk, fingerprint, finish)
    except FailedAnswer as failed:
        return failed.response


def _row(owner: UUID, key: str, fingerprint: str) -> IdempotencyKey:
    """Return the committed row of the key, created if it is missing; raise TooManyKeys."""
    keys = IdempotencyKey.objects.filter(user_id=owner)
    if not keys.filter(key=key).exists():
        _require_room(keys)
    row, _ = keys.get_or_create(key=key, defaults={"user_id": owner, "fingerprint": fingerprint})
    return row


def _require_room(keys: QuerySet[IdempotencyKey]) -> None:
    """Raise TooManyKeys if the user has MOST_KEPT keys, with the time until the oldest one expires.
    Concurrent requests may each find the last place free, so that a few more keys are kept."""
    if keys.count() < MOST_KEPT:
        return
    oldest = keys.aggregate(at=Min("created_at"))["at"] or timezone.now()
    wait = max(60, math.ceil((oldest + KEPT_FOR - timezone.now()).total_seconds()))
    raise TooManyKeys(limit=MOST_KEPT, remaining=0, reset=wait, retry_after=wait)


def _run_locked(row_id: Any, fingerprint: str, finish: Finish) -> Response:
    try:
        row = IdempotencyKey.objects.select_for_update(nowait=True).get(pk=row_id)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise StillRunning from error
        # The database is away; this says nothing about another request.
        raise
    except IdempotencyKey.DoesNotExist as error:
        # The row was pruned between the two transactions; the client's next try creates a new one.
        raise StillRunning from error
    # Another request with this key may have been answered since the first check.
    if (kept := _kept_answer(row, fingerprint)) is not None:
        return kept
    response = finish()
    if response.status_code >= 500:
        raise FailedAnswer(response)
    row.status, row.body = response.status_code, orjson.loads(dumps(response.data))
    row.subject = _subject_of(row.body)
    row.save(update_fields=["status", "body", "subject"])
    return response


def _kept_answer(row: IdempotencyKey, fingerprint: str) -> Response | None:
    """Return the kept answer to this request, if any; raise IdempotencyKeyReused if the key belongs
    to another request."""
    if not hmac.compare_digest(row.fingerprint, fingerprint):
        raise IdempotencyKeyReused
    if row.status is None:
        return None
    return Response(row.body, row.status, headers={"Idempotent-Replayed": "true"})


def _subject_of(body: Mapping[str, Any]) -> UUID | None:
    """Return the id of the object in an answer; None if the answer has no single object."""
    data = body.get("data")
    try:
        return UUID(data["id"]) if isinstance(data, dict) else None
    except (KeyError, ValueError):
        return None


def redact_answers(overlays: Mapping[UUID, Overlay]) -> None:
    """Overwrite parts of the kept answers that show these subjects, which were deleted.

    An answer is kept in the transaction of its effect. So a caller that holds the lock of the
    deleted row finds every answer that shows it.
    """
    redact_json(IdempotencyKey, "body", overlays)


def _owner(request: Request) -> UUID:
    user_id: UUID = request.user.pk  # type: ignore[assignment]
    return user_id


def _fingerprint(request: Request) -> str:
    """Return a hash of route and body. It is keyed, so that no password can be guessed from it."""
    try:
        body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise BadRequest("The body is nested too deeply for an Idempotency-Key") from error
    content = request.path.encode() + b"\0" + body
    return hmac.new(settings.SECRET_KEY.encode(), content, hashlib.sha256).hexdigest()


def idempotency_keys_prune() -> int:
    """Delete the expired keys and return how many there were."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]
