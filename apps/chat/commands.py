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
from apps.core.ratelimit import spend_action
from apps.realtime.registry import command
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread

TYPING_SECONDS = 10
LOOK_AGAIN_SECONDS = 1

# Who types to whom, with the timer by which it is looked whether they still do. Nobody is in it for
# longer than TYPING_SECONDS, and the limit on typing says how many of theirs are at most.
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
    """Tell the other of a conversation that one types. It ends by itself, and with the socket."""
    wish = TypingInput.read(data)
    receiver_id = wish["receiver_id"]
    await in_thread(_require_may_type, socket.visitor.user_id, receiver_id)
    _stop_timer(socket, receiver_id)
    events.typing(socket.visitor.user_id, receiver_id, wish["is_typing"])
    if wish["is_typing"]:
        _look_again(socket, receiver_id, TYPING_SECONDS)
    return {"isTyping": wish["is_typing"]}


def _require_may_type(sender_id: UUID, receiver_id: UUID) -> None:
    spend_action("typing", sender_id)
    if not selectors.are_peers(sender_id, receiver_id):
        raise NoConversation


def _look_again(socket: Socket, receiver_id: UUID, seconds: float) -> None:
    """Look again after a moment, until the seconds are over or the socket is closed."""
    sender_id = socket.visitor.user_id
    if seconds <= 0 or socket.closed:
        _stop_timer(socket, receiver_id)
        events.typing(sender_id, receiver_id, False)
        return
    again = partial(_look_again, socket, receiver_id, seconds - LOOK_AGAIN_SECONDS)
    loop = asyncio.get_running_loop()
    _typing[sender_id, receiver_id] = loop.call_later(LOOK_AGAIN_SECONDS, again)


def _stop_timer(socket: Socket, receiver_id: UUID) -> None:
    timer = _typing.pop((socket.visitor.user_id, receiver_id), None)
    if timer is not None:
        timer.cancel()


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
