"""The program of the process that hashes passwords. hashing_process.py starts it and asks it.

It imports nothing of Django or Parley, so that it is small. A request is a line of JSON on its
standard input, and the answer a line on its standard output.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import argon2

LOWEST_PRIORITY = 19
# Of the process as a group of its own, whose least would be 19 too: with 10 others wait no longer,
# and a busy machine has three times as much for it (docs/decisions/0021-hashing-process.md).
GROUP_PRIORITY = 10


def encode(password: str, salt: str, time: int, memory: int, parallelism: int, length: int) -> str:
    """Return the hash as argon2 writes it, with its parameters. `memory` is in KiB."""
    encoded = argon2.low_level.hash_secret(
        password.encode(), salt.encode(), time, memory, parallelism, length, argon2.Type.ID
    )
    return encoded.decode()


def verify(password: str, encoded: str) -> bool:
    """Return whether this is the hash of the password."""
    try:
        return argon2.PasswordHasher().verify(encoded, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


FUNCTIONS: dict[str, Callable[..., Any]] = {"encode": encode, "verify": verify}


def answer(request: bytes) -> Any:
    """Return what the function returns that is asked for; None when it fails. The server then calls
    it itself, and meets with the same error."""
    name, *arguments = json.loads(request)
    try:
        return FUNCTIONS[name](*arguments)
    except Exception:  # noqa: BLE001
        return None


def lower_priority() -> None:
    """Leave the processors to whoever else wants them."""
    os.nice(LOWEST_PRIORITY)
    # Where Linux groups processes by session, priorities are compared inside of a group first, and
    # those of groups with each other.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(GROUP_PRIORITY))


def main() -> None:
    """Answer until the server closes its end, which it also does when it is killed."""
    # Without a word, when the server ends before an answer.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    lower_priority()
    for request in sys.stdin.buffer:
        sys.stdout.write(f"{json.dumps(answer(request))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
