"""The chat over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.accounts.requests import PersonRequest
from apps.chat import receipts, selectors, services
from apps.chat.serializers import (
    ConversationShape,
    MessageInput,
    MessageQuery,
    MessageShape,
    ReadInput,
    UnreadAnswer,
    UpdatedAnswer,
)
from apps.core.http.envelope import answer
from apps.core.http.pagination import ListQuery, paginate
from apps.core.http.schema import paginated
from apps.core.http.viewsets import ApiViewSet


class MessageViewSet(ApiViewSet):
    """Direct messages."""

    limits = {"create": "send_message"}

    @extend_schema(request=MessageInput, responses={200: MessageShape, 201: MessageShape})
    def create(self, request: PersonRequest) -> Response:
        """Send a message. One with a clientId that was sent before is returned with 200."""
        draft = services.Draft(sender_id=request.user.pk, **MessageInput.read(request.data))
        sent = services.message_send(draft)
        return answer("Message sent successfully", sent.shape, status=201 if sent.created else 200)

    @extend_schema(parameters=[MessageQuery], responses={200: MessageShape(many=True)})
    @paginated
    def list(self, request: PersonRequest) -> Response:
        """List the conversation with a person, the newest first."""
        query = MessageQuery.read(request.query_params.dict())
        messages = selectors.messages_with(request.user, query["user_id"])
        found = paginate(messages, query, MessageQuery.default_limit)
        return answer(
            "Messages retrieved successfully",
            MessageShape.show_all(found.rows),
            pagination=found.pagination,
        )

    @extend_schema(responses={200: None})
    def destroy(self, request: PersonRequest, pk: UUID) -> Response:
        """Delete one's own message, for both."""
        services.message_delete(user=request.user, message_id=pk)
        return answer("Message deleted successfully")

    @extend_schema(request=ReadInput, responses={200: UpdatedAnswer})
    @action(detail=False, methods=["post"])
    def read(self, request: PersonRequest) -> Response:
        """Mark messages to oneself as read."""
        marked = receipts.messages_mark_read(
            reader_id=request.user.pk, **ReadInput.read(request.data)
        )
        return answer("Messages marked as read", marked.as_dict())

    @extend_schema(parameters=[ListQuery], responses={200: ConversationShape(many=True)})
    @action(detail=False, methods=["get"])
    @paginated
    def conversations(self, request: PersonRequest) -> Response:
        """List one's conversations, the latest first."""
        query = ListQuery.read(request.query_params.dict())
        found = paginate(selectors.memberships_of(request.user), query)
        shown = selectors.conversations_shown(request.user, found.rows)
        return answer(
            "Conversations retrieved successfully",
            ConversationShape.show_all(shown),
            pagination=found.pagination,
        )

    @extend_schema(responses={200: UnreadAnswer})
    @action(detail=False, methods=["get"])
    def unread(self, request: PersonRequest) -> Response:
        """Count what is unread."""
        return answer("Unread messages counted", selectors.unread_counts(request.user))
