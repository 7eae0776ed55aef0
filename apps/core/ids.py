"""Identifiers."""

import os
import random
import time
from uuid import UUID


def new_request_id() -> str:
    """Return an id for a request: a UUID of version 7 as text. Unlike the ids of rows it may be
    guessed, so that it costs no system call."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    return (
        f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{rest * 4096 // 1_000_000:03x}-"
        f"{0x8000 | random.getrandbits(14):04x}-{random.getrandbits(48):012x}"
    )


def uuid7() -> UUID:
    """Return a UUID of version 7 (RFC 9562, 5.7). Its 12 bits of rand_a are a fraction of the
    millisecond (6.2, method 3), so that ids sort by their creation time."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    value = milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1_000_000) << 64
    return UUID(int=value | 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2)
