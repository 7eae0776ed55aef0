"""Parley's URLs, and what groups have no routes for yet. These trust whom the body names."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.urls import path

from apps.accounts.models import User
from apps.chat import groups
from apps.chat.services import Draft, message_send
from apps.core.errors import DomainError
from apps.core.http.handler import as_domain_error
from config.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def create(actor: User, given: dict[str, Any]) -> str:
    """Create a group and return its id."""
    members = [UUID(user) for user in given["memberIds"]]
    return str(groups.group_create(actor, title=given["title"], member_ids=members).pk)


def remove(actor: User, given: dict[str, Any]) -> str:
    """Remove a member from a group and return their id."""
    group, user = UUID(given["conversationId"]), UUID(given["userId"])
    groups.member_remove(actor, conversation_id=group, user_id=user)
    return str(user)


def send(actor: User, given: dict[str, Any]) -> str:
    """Send a message to a group and return its id."""
    group, client_id = UUID(given["conversationId"]), given["clientId"]
    draft = Draft(actor.pk, None, given["content"], client_id=client_id, conversation_id=group)
    return str(message_send(draft).message.pk)


def view(call: Callable[[User, dict[str, Any]], str]) -> Callable[[HttpRequest], JsonResponse]:
    """Return a view that answers with the id that the call returns, or with why it is refused."""

    def answer(request: HttpRequest) -> JsonResponse:
        given = json.loads(request.body)
        try:
            return JsonResponse({"id": call(User.objects.get(pk=given["actorId"]), given)})
        except Exception as error:  # noqa: BLE001
            refusal: DomainError = as_domain_error(error)
            return JsonResponse({"code": refusal.code}, status=refusal.status)

    # Only pages check for forged requests; see config.settings.MIDDLEWARE.
    answer.csrf_exempt = True  # type: ignore[attr-defined]
    return answer


urlpatterns = [
    path("chaos/groups", view(create)),
    path("chaos/members", view(remove)),
    path("chaos/messages", view(send)),
    *urlpatterns,
]
