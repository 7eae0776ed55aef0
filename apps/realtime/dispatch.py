"""The frames of a client: parsed, handed to their commands, and answered."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.core.errors import BadRequest, NotFound
from apps.core.http.handler import as_domain_error
from apps.realtime import closing, registry
from apps.realtime.open_socket import OpenSocket
from apps.realtime.socket_frames import Ack, Error

STRIKES = 3


class Malformed(BadRequest):
    """What is no frame at all; a client may send only a few."""


class Dispatcher:
    """Answers the frames of one socket, one by one, so that the answers come in their order."""

    __slots__ = ("_socket", "_strikes")

    def __init__(self, socket: OpenSocket) -> None:
        self._socket = socket
        self._strikes = 0

    async def dispatch(self, text: str | None) -> None:
        """Answer one frame: with what its command returns, or with why it was refused."""
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
            socket.push(Error(error=as_domain_error(error)).render(socket.echo()))
            if isinstance(error, Malformed):
                self._count_strike()
        else:
            if returned is not None:
                socket.push(Ack(returned=returned).render(socket.echo()))

    def _count_strike(self) -> None:
        self._strikes += 1
        if self._strikes >= STRIKES:
            self._socket.close_soon(closing.MALFORMED)


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
