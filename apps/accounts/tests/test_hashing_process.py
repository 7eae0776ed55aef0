"""Passwords are hashed in another process, and all the same when that dies or hangs."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from apps.accounts import passwords
from apps.accounts.hashing_process import HashingProcess
from apps.accounts.passwords import Argon2Hasher
from apps.accounts.tests.people import PASSWORD
from testing.server import until

SALT = "a-salt-of-sixteen"
# What is asked for here is there at once, or not before hours have passed.
QUICK = ("encode", PASSWORD, SALT, 1, 64, 1, 32)
ENDLESS = ("encode", PASSWORD, SALT, 1_000_000, 19_456, 1, 32)


class QuickHasher(Argon2PasswordHasher):
    """What an older version may have stored hashes of."""

    memory_cost, time_cost, parallelism = 64, 1, 2


Start = Callable[..., HashingProcess]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that starts the process which the hasher asks. Its callers wait for as long as a
    busy machine may take, unless they say otherwise."""
    with ExitStack() as running:

        def start(wait: float = 60.0, hung: float = 60.0) -> HashingProcess:
            process = HashingProcess(wait=wait, hung=hung)
            process.start()
            running.callback(end, process)
            monkeypatch.setattr(passwords, "hashing_process", process)
            return process

        yield start


def end(process: HashingProcess) -> None:
    if process._running:
        process._running.end()


def pid_of(process: HashingProcess) -> int:
    assert process.pid is not None
    return process.pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def one_of(answer: bool | None) -> list[bool]:
    """Return the answer as a list, which is empty when there was none."""
    return [] if answer is None else [answer]


def right(password: str, encoded: str) -> bool:
    return Argon2Hasher().verify(password, encoded)


def test_what_the_process_hashes_is_what_django_would(start: Start) -> None:
    process, django, ours = start(), Argon2PasswordHasher(), Argon2Hasher()
    for name in ("memory_cost", "time_cost", "parallelism"):
        setattr(django, name, getattr(ours, name))
    for password in (PASSWORD, 'ä "word"\nof {}, \0 and 🔑'):
        encoded = ours.encode(password, SALT)
        assert encoded == django.encode(password, SALT)
        # That it was the process which said so:
        assert process.ask("verify", password, encoded.removeprefix("argon2")) is True
        assert process.ask("verify", f"{password} ", encoded.removeprefix("argon2")) is False


def test_no_password_is_hashed_beside_the_process(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    old = QuickHasher().encode(PASSWORD, SALT)
    for name in ("encode", "verify"):
        monkeypatch.delattr(Argon2PasswordHasher, name)
    assert right(PASSWORD, Argon2Hasher().encode(PASSWORD, SALT))
    # One of other parameters is compared there as well.
    assert right(PASSWORD, old)
    assert not right("wrong", old)


def test_what_the_process_cannot_do_fails_as_without_it(start: Start) -> None:
    process = start()
    before = pid_of(process)
    assert not right(PASSWORD, "argon2$argon2id$v=19$m=64,t=1,p=1$broken$hash")
    with pytest.raises(UnicodeEncodeError):
        Argon2Hasher().encode("half of a pair: \ud83d", SALT)
    assert process.pid == before


def test_before_it_is_started_nobody_is_asked() -> None:
    process = HashingProcess()
    assert process.ask("verify", PASSWORD, "anything") is None
    assert process.pid is None


def test_of_many_who_ask_at_once_each_gets_their_own_answer(start: Start) -> None:
    start()
    hashes = {password: QuickHasher().encode(password, SALT) for password in "abcdefgh"}

    def told_apart(number: int) -> bool:
        mine, other = "abcdefgh"[number % 8], "bcdefgha"[number % 8]
        return right(mine, hashes[mine]) and not right(other, hashes[mine])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(told_apart, range(200)))


def test_after_it_was_killed_a_password_is_hashed_all_the_same_and_then_in_a_new_one(
    start: Start,
) -> None:
    process = start()
    killed = pid_of(process)
    os.kill(killed, signal.SIGKILL)
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert process.pid is None
    assert is_gone(killed)
    assert right(PASSWORD, encoded)
    assert not right("wrong", encoded)
    assert pid_of(process) != killed


def test_who_asks_while_it_is_killed_does_not_wait_for_it(start: Start) -> None:
    process = start()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(process.ask, *ENDLESS)
        until(process._lock.locked)
        os.kill(pid_of(process), signal.SIGKILL)
        assert asked.result(timeout=20) is None


def test_while_it_hangs_a_password_is_hashed_all_the_same(start: Start) -> None:
    process = start(wait=0.05)
    hung = pid_of(process)
    os.kill(hung, signal.SIGSTOP)
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert right(PASSWORD, encoded)
    assert not right("wrong", encoded)
    # It may be that the processors were too busy for it: it is not replaced at once.
    assert process.pid == hung


def test_who_finds_another_one_waiting_does_not_wait_for_long(start: Start) -> None:
    process = start(wait=0.05)
    with process._lock:
        assert process.ask("verify", PASSWORD, "anything") is None


def test_when_it_has_hung_for_too_long_it_is_replaced(start: Start) -> None:
    process = start(wait=0.05, hung=0.0)
    hung = pid_of(process)
    os.kill(hung, signal.SIGSTOP)
    assert process.ask(*QUICK) is None
    assert is_gone(hung)
    process.hung = 60.0
    until(lambda: process.ask(*QUICK))
    assert pid_of(process) != hung


def test_an_answer_that_comes_late_is_not_that_to_the_next_password(start: Start) -> None:
    process = start(wait=0.05)
    encoded = QuickHasher().encode(PASSWORD, SALT).removeprefix("argon2")
    os.kill(pid_of(process), signal.SIGSTOP)
    assert process.ask("verify", PASSWORD, encoded) is None
    os.kill(pid_of(process), signal.SIGCONT)
    answer = until(lambda: one_of(process.ask("verify", "wrong", encoded)))
    assert answer == [False]


def test_where_no_process_can_be_started_a_password_is_hashed_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    process = start()
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert process.pid is None
    monkeypatch.undo()
    assert process.ask("verify", PASSWORD, encoded.removeprefix("argon2")) is True
