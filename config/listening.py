"""Binding the port, and why that fails."""

import errno
import socket
from collections.abc import Sequence
from typing import Any

# How many connections may wait until the server accepts them.
BACKLOG = 2048
ANY_ADDRESS = "0.0.0.0 for all addresses of this machine, or 127.0.0.1 for this machine only"


class CannotListen(Exception):
    """The port cannot be had; the message says why and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of the host, bound to the port, for one process. They do not
    listen yet, see `listen`. Raises CannotListen."""
    try:
        return [_bound(address) for address in _addresses(host, port)]
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def bind_shared(host: str, port: int, count: int) -> list[socket.socket]:
    """Return so many sockets that are bound to one port and do not listen yet. Linux divides new
    connections among those that listen. Raises CannotListen."""
    try:
        address, *_ = _addresses(host, port)
        # Sockets with SO_REUSEPORT would share the port with another server of this account.
        _bound(address).close()
        return [_bound(address, shared=True) for _ in range(count)]
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def listen(host: str, port: int, listeners: Sequence[socket.socket]) -> None:
    """Have clients wait for the server from now on instead of being refused. Raises CannotListen if
    another program has begun to listen on the port meanwhile."""
    try:
        for listener in listeners:
            listener.listen(BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        # Python's own, for what cannot be part of a name.
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error
    return list(dict.fromkeys((family, address) for family, *_, address in found))


def _bound(address: tuple[socket.AddressFamily, Any], *, shared: bool = False) -> socket.socket:
    family, where = address
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    if isinstance(error, socket.gaierror):
        return CannotListen(f'No host has the name "{host}". Set SERVER_HOST to {ANY_ADDRESS}.')
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"{host} is not an address of this machine. Set SERVER_HOST to {ANY_ADDRESS}."
        )
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"Another program serves on port {port}. Set SERVER_PORT to a free one."
        )
    if error.errno == errno.EACCES:
        return CannotListen(
            f"This account may not serve on port {port}. Set SERVER_PORT to one from 1024 on."
        )
    return CannotListen(
        f"Could not serve on {host}, port {port}: {error.strerror}. Set SERVER_HOST to "
        f"{ANY_ADDRESS}."
    )
