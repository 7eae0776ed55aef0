"""The frames of a client: parsed, dispatched to their commands, and answered."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.core.errors import BadRequest, NotFound
from apps.core.http.handler import as_domain_error
from apps.realtime import closing, registry
from apps.realtime.open_socket import OpenSocket
from apps.realtime.socket_frames import Ack, Error

MALFORMED_FRAMES = 3


class Malformed(BadRequest):
    """The text is no frame; a client may send only MALFORMED_FRAMES of these."""


class Dispatcher:
    """Answers the frames of one socket one after the other, so that answers keep their order."""

    __slots__ = ("_malformed", "_socket")

    def __init__(self, socket: OpenSocket) -> None:
        self._socket = socket
        self._malformed = 0

    async def dispatch(self, text: str | None) -> None:
        """Answer one frame: with what its command returns, or with the reason why it is refused."""
        socket = self._socket
        if socket.closed:
            return
        socket.request_id = None
        try:
            frame = _frame(text)
            socket.request_id = _request_id(frame)
            command = _command(frame)
            returned = await command.handler(socket, command.input.load(_data(frame)))
        except Exception as error:  # noqa: BLE001
            socket.reply(Error(error=as_domain_error(error)))
            if isinstance(error, Malformed):
                self._count_malformed()
        else:
            if returned is not None:
                socket.reply(Ack(returned=returned))

    def _count_malformed(self) -> None:
        self._malformed += 1
        if self._malformed >= MALFORMED_FRAMES:
            self._socket.close(closing.MALFORMED)


def _frame(text: str | None) -> Mapping[str, Any]:
    try:
        frame = orjson.loads(text or "")
    except orjson.JSONDecodeError as error:
        raise Malformed("A frame must be JSON text") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise Malformed("A frame must be an object with a type")
    return frame


def _request_id(frame: Mapping[str, Any]) -> str | None:
    request_id = frame.get("requestId")
    return request_id[:64] if isinstance(request_id, str) else None


def _data(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    data = {} if frame.get("data") is None else frame["data"]
    if not isinstance(data, dict):
        raise BadRequest("The data of a frame must be an object")
    return data


def _command(frame: Mapping[str, Any]) -> registry.Command:
    command = registry.commands.get(frame["type"])
    if command is None:
        raise NotFound(f"There is no command {frame['type'][:50]!r}")
    return command
