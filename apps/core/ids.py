"""Identifiers."""

import secrets
import time
from collections.abc import Callable
from uuid import UUID


def uuid7(random_bits: Callable[[int], int] = secrets.randbits) -> UUID:
    """Return a UUID of version 7 (RFC 9562, 5.7). Its 12 bits of rand_a are a fraction of the
    millisecond (6.2, method 3), so that ids sort by their creation time. `random_bits` returns so
    many bits, by default such as nobody can guess."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    value = milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1_000_000) << 64
    return UUID(int=value | 0b10 << 62 | random_bits(62))
