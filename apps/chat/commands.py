"""The chat over the websocket: the same services as over HTTP, under the same limits."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from apps.accounts.blocks import require_no_block
from apps.chat import events, receipts, selectors, services
from apps.chat.errors import NoConversation
from apps.chat.message_commits import message_send_grouped
from apps.chat.serializers import (
    DeliveredInput,
    MessageInput,
    MessagePayload,
    ReceiptInput,
    ReceiptOutput,
    TypingAck,
    TypingInput,
)
from apps.core.quick_log import QuickLog
from apps.core.ratelimit import consume_action
from apps.realtime.registry import command
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread

log = QuickLog("parley.socket")

TYPING_SECONDS = 10
CHECK_SECONDS = 1

# The timer of each sender and receiver that checks whether the sender still types. An entry lives
# for TYPING_SECONDS at most, and the limit on typing bounds how many a sender has.
_typing: dict[tuple[UUID, UUID], asyncio.TimerHandle] = {}


@command("chat_message", input=MessageInput, ack=MessagePayload)
async def chat_message(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send a message, as over HTTP. The response arrives once the message is stored."""
    draft = services.Draft(sender_id=socket.identity.user_id, **given)
    sent = await message_send_grouped(draft)
    log.info(
        "message sent",
        message_id=str(sent.message.pk),
        created=sent.created,
        socket_id=socket.entry.socket_id,
        user_id=str(draft.sender_id),
        request_id=socket.request_id,
    )
    return {"message": sent.output}


@command("typing", input=TypingInput, ack=TypingAck)
async def typing(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say that you type to a user. It ends by itself after 10 seconds, and with the socket."""
    receiver_id, is_typing = given["receiver_id"], given["is_typing"]
    await in_thread(_require_may_type, socket.identity.user_id, receiver_id)
    _stop_timer(socket, receiver_id)
    events.typing(socket.identity.user_id, receiver_id, is_typing)
    if is_typing:
        _check_again(socket, receiver_id, TYPING_SECONDS)
    return {"isTyping": is_typing}


def _require_may_type(sender_id: UUID, receiver_id: UUID) -> None:
    consume_action("typing", sender_id)
    if not selectors.are_peers(sender_id, receiver_id):
        raise NoConversation
    require_no_block(sender_id, receiver_id)


def _check_again(socket: Socket, receiver_id: UUID, seconds: float) -> None:
    """Check again after a moment, until the seconds are over or the socket is closed."""
    sender_id = socket.identity.user_id
    if seconds <= 0 or socket.closed:
        _stop_timer(socket, receiver_id)
        events.typing(sender_id, receiver_id, False)
        return
    again = partial(_check_again, socket, receiver_id, seconds - CHECK_SECONDS)
    loop = asyncio.get_running_loop()
    _typing[sender_id, receiver_id] = loop.call_later(CHECK_SECONDS, again)


def _stop_timer(socket: Socket, receiver_id: UUID) -> None:
    timer = _typing.pop((socket.identity.user_id, receiver_id), None)
    if timer is not None:
        timer.cancel()


@command("read_receipt", input=ReceiptInput, ack=ReceiptOutput)
async def read_receipt(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mark messages of one sender as read."""
    marked = await in_thread(
        receipts.messages_mark_read,
        socket.identity.user_id,
        **given,
    )
    return marked.as_dict()


@command("delivered", input=DeliveredInput, ack=ReceiptOutput)
async def delivered(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say that this device has messages: by id, or all of your stream up to an event number."""
    marked = await in_thread(
        receipts.messages_mark_delivered,
        socket.identity.user_id,
        **given,
    )
    return marked.as_dict()
