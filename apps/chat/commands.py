"""The chat over the websocket: the same services as over HTTP, under the same limits."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from apps.chat import events, receipts, selectors, services
from apps.chat.errors import NoConversation
from apps.chat.grouping import message_send_grouped
from apps.chat.serializers import DeliveredInput, MessageInput, ReceiptInput, TypingInput
from apps.realtime.registry import command
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread

TYPING_SECONDS = 10

# Who types to whom, with the timer that ends it when the client does not.
_typing: dict[tuple[UUID, UUID], asyncio.TimerHandle] = {}


@command("chat_message")
async def chat_message(socket: Socket, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send a message; the answer comes once it is safe."""
    sender_id = socket.visitor.user_id
    draft = services.Draft(sender_id=sender_id, **MessageInput.read(data))
    sent = await message_send_grouped(draft)
    return {"message": sent.shape}


@command("typing")
async def typing(socket: Socket, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tell the other of a conversation that one types. It ends by itself."""
    wish = TypingInput.read(data)
    sender_id, receiver_id = socket.visitor.user_id, wish["receiver_id"]
    if not await in_thread(selectors.are_peers, sender_id, receiver_id):
        raise NoConversation
    events.typing(sender_id, receiver_id, wish["is_typing"])
    timer = _typing.pop((sender_id, receiver_id), None)
    if timer is not None:
        timer.cancel()
    if wish["is_typing"]:
        _typing[sender_id, receiver_id] = asyncio.get_running_loop().call_later(
            TYPING_SECONDS, partial(_stop_typing, sender_id, receiver_id)
        )
    return {"isTyping": wish["is_typing"]}


def _stop_typing(sender_id: UUID, receiver_id: UUID) -> None:
    del _typing[sender_id, receiver_id]
    events.typing(sender_id, receiver_id, False)


@command("read_receipt")
async def read_receipt(socket: Socket, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mark messages of one sender as read."""
    marked = await in_thread(
        receipts.messages_mark_read,
        reader_id=socket.visitor.user_id,
        **ReceiptInput.read(data),
    )
    return marked.as_dict()


@command("delivered")
async def delivered(socket: Socket, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Note that this device has messages."""
    marked = await in_thread(
        receipts.messages_mark_delivered,
        receiver_id=socket.visitor.user_id,
        **DeliveredInput.read(data),
    )
    return marked.as_dict()
