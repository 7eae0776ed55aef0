"""The program of the hashing process. hashing_process.py starts it and sends it requests.

It imports nothing of Django or Parley, so that it is small. A request is a line of JSON on its
standard input, and the answer is a line of JSON on its standard output.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import argon2

LOWEST_PRIORITY = 19
# The priority of the process's group. 19 would be the lowest here too, but other processes wait no
# longer at 10, and on a busy machine this one then gets three times as much time
# (docs/decisions/0021-hashing-process.md).
GROUP_PRIORITY = 10
# The part of the machine's processor time that the process takes at most. The lowest priority alone
# is not enough: cores share caches, and one core of hardware often counts as two.
LARGEST_PART = 1 / 16
# How many seconds a process waits for its turn, and how many between its tries. It is longer than
# ten others hash, and leaves time to hash before the caller gives up.
LONGEST_WAIT, BETWEEN_TRIES = 0.5, 0.005


def encode(password: str, salt: str, cost: int, memory: int, parallelism: int, length: int) -> str:
    """Return the hash as argon2 writes it, with its parameters. `cost` is the number of passes,
    and `memory` is in KiB."""
    encoded = argon2.low_level.hash_secret(
        password.encode(), salt.encode(), cost, memory, parallelism, length, argon2.Type.ID
    )
    return encoded.decode()


def verify(password: str, encoded: str) -> bool:
    """Return whether this is the hash of the password."""
    try:
        return argon2.PasswordHasher().verify(encoded, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


FUNCTIONS: dict[str, Callable[..., Any]] = {"encode": encode, "verify": verify}


def result_of(request: bytes) -> Any:
    """Call the function that the request names and return its result; None when it fails. The
    server then calls the function itself and gets the same error."""
    name, *arguments = json.loads(request)
    try:
        return FUNCTIONS[name](*arguments)
    except Exception:  # noqa: BLE001
        return None


def lower_priority() -> None:
    """Leave the processors to all other processes that need them."""
    os.nice(LOWEST_PRIORITY)
    # If Linux groups processes by session, it compares priorities only inside a group, and the
    # groups' priorities with each other.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(GROUP_PRIORITY))


def rest_after(seconds: float, cores: int) -> float:
    """Return how many seconds to rest after a hash that took so many seconds of processor time, on
    a machine with so many cores."""
    return seconds * max(0.0, 1 / (LARGEST_PART * cores) - 1)


@contextmanager
def own_turn() -> Iterator[None]:
    """Keep the hashing processes of the installation's other servers from hashing meanwhile. It
    waits for one that hashes, and not for one that hangs. The system ends the turn of a process
    that is killed."""
    deadline = time.monotonic() + LONGEST_WAIT
    with Path(__file__).open("rb") as turns:
        while not _taken(turns) and time.monotonic() < deadline:
            time.sleep(BETWEEN_TRIES)
        yield


def _taken(turns: BinaryIO) -> bool:
    """Take the turn and return True, or return False if another process has it."""
    try:
        fcntl.flock(turns, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have no such locks.
        return True
    return True


def main() -> None:
    """Answer requests until the server closes its end, which happens also when it is killed."""
    # End without a traceback when the server ends before it reads an answer.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    lower_priority()
    for request in sys.stdin.buffer:
        began = time.process_time()
        with own_turn():
            result = result_of(request)
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()
        # The answer is on its way, so nobody waits for this but the next one.
        time.sleep(rest_after(time.process_time() - began, os.cpu_count() or 1))


if __name__ == "__main__":
    main()
