"""The chat over HTTP."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.decorators import action

from apps.accounts.errors import UserNotFound, UsersBlocked
from apps.accounts.requests import UserRequest
from apps.chat import receipts, selectors, services
from apps.chat.errors import (
    ConversationNotFound,
    MessageNotFound,
    NotYourMessageToDelete,
    ReceiverNotFound,
    ToOneself,
)
from apps.chat.message_commits import message_create_grouped
from apps.chat.models import Membership, Message
from apps.chat.serializers import (
    ConversationOutput,
    MessageInput,
    MessageOutput,
    MessageQuery,
    ReadInput,
    ReceiptOutput,
    UnreadCountOutput,
)
from apps.core.http.endpoints import Endpoint
from apps.core.http.pagination import Listing, ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.realtime.snapshots import AUTOMATIC_STREAMS, USER_STREAM


class MessageViewSet(ApiViewSet):
    """Direct messages."""

    @Endpoint(
        message="Message sent successfully",
        status=201,
        existing_status=200,
        input=MessageInput,
        output=MessageOutput,
        limit="send_message",
        refuses=[ReceiverNotFound, ToOneself, UsersBlocked],
        grouped=message_create_grouped,
    )
    def create(self, request: UserRequest, **data: Any) -> tuple[Message, bool]:
        """Send a message. One that was sent before with the same clientId is returned with 200."""
        sent = services.message_send(services.Draft(sender_id=request.user.pk, **data))
        return sent.message, sent.created

    @Endpoint(
        message="Messages retrieved successfully",
        query=MessageQuery,
        output=MessageOutput,
        per_page=50,
        streams=USER_STREAM,
        refuses=[UserNotFound],
    )
    def list(self, request: UserRequest, user_id: UUID) -> Listing[Message]:
        """List the messages with a user, the newest first."""
        return Listing(selectors.messages_with(request.user, user_id), selectors.messages_shown)

    @Endpoint(
        message="Message deleted successfully",
        refuses=[NotYourMessageToDelete, MessageNotFound],
    )
    def destroy(self, request: UserRequest, pk: UUID) -> None:
        """Delete one's own message, for both users."""
        services.message_delete(request.user, message_id=pk)

    @action(detail=False, methods=["post"])
    @Endpoint(
        message="Messages marked as read",
        input=ReadInput,
        output=ReceiptOutput,
        refuses=[ConversationNotFound],
    )
    def read(self, request: UserRequest, **data: Any) -> Mapping[str, Any]:
        """Mark messages to oneself as read."""
        return receipts.messages_mark_read(request.user.pk, **data).as_dict()

    @action(detail=False, methods=["get"])
    @Endpoint(
        message="Conversations retrieved successfully",
        query=ListQuery,
        output=ConversationOutput,
        per_page=10,
        streams=USER_STREAM,
    )
    def conversations(self, request: UserRequest) -> Listing[Membership]:
        """List one's conversations, the latest first."""
        return Listing(
            selectors.direct_memberships(request.user),
            partial(selectors.conversations_shown, request.user),
        )

    @action(detail=False, methods=["get"])
    @Endpoint(
        message="Unread messages counted",
        output=UnreadCountOutput,
        streams=AUTOMATIC_STREAMS,
    )
    def unread(self, request: UserRequest) -> Mapping[str, int]:
        """Count the unread messages."""
        return selectors.unread_counts(request.user)
