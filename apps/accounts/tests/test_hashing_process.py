"""Passwords are hashed in another process, and in this one when that process dies or hangs."""

import fcntl
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from apps.accounts import hashing_program, passwords
from apps.accounts.hashing_process import HashingProcess
from apps.accounts.passwords import Argon2Hasher
from apps.accounts.tests.people import PASSWORD
from testing.server import until

SALT = "a-salt-of-sixteen"
# The answer to QUICK comes at once, the answer to ENDLESS only after hours.
QUICK = ("encode", PASSWORD, SALT, 1, 64, 1, 32)
ENDLESS = ("encode", PASSWORD, SALT, 1_000_000, 19_456, 1, 32)


class QuickHasher(Argon2PasswordHasher):
    """A hasher of an older version, whose hashes may be stored."""

    memory_cost, time_cost, parallelism = 64, 1, 2


Start = Callable[..., HashingProcess]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that starts the process for the hasher. By default its callers wait as long as a
    busy machine may take."""
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


def matches(password: str, encoded: str) -> bool:
    return Argon2Hasher().verify(password, encoded)


def test_process_returns_the_same_hash_as_django(start: Start) -> None:
    process, django, ours = start(), Argon2PasswordHasher(), Argon2Hasher()
    for name in ("memory_cost", "time_cost", "parallelism"):
        setattr(django, name, getattr(ours, name))
    for password in (PASSWORD, 'ä "word"\nof {}, \0 and 🔑'):
        encoded = ours.encode(password, SALT)
        assert encoded == django.encode(password, SALT)
        # These show that the process answers:
        assert process.ask("verify", password, encoded.removeprefix("argon2")) is True
        assert process.ask("verify", f"{password} ", encoded.removeprefix("argon2")) is False


def test_server_hashes_no_password_outside_the_process(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    old = QuickHasher().encode(PASSWORD, SALT)
    for name in ("encode", "verify"):
        monkeypatch.delattr(Argon2PasswordHasher, name)
    assert matches(PASSWORD, Argon2Hasher().encode(PASSWORD, SALT))
    # The process also compares a hash with other parameters.
    assert matches(PASSWORD, old)
    assert not matches("wrong", old)


def test_failed_request_raises_the_same_error_as_without_the_process(start: Start) -> None:
    process = start()
    before = pid_of(process)
    assert not matches(PASSWORD, "argon2$argon2id$v=19$m=64,t=1,p=1$broken$hash")
    with pytest.raises(UnicodeEncodeError):
        Argon2Hasher().encode("half of a pair: \ud83d", SALT)
    assert process.pid == before


def test_caller_gets_no_answer_before_the_process_is_started() -> None:
    process = HashingProcess()
    assert process.ask("verify", PASSWORD, "anything") is None
    assert process.pid is None


def test_each_of_many_concurrent_callers_gets_its_own_answer(start: Start) -> None:
    start()
    hashes = {password: QuickHasher().encode(password, SALT) for password in "abcdefgh"}

    def distinguishes(number: int) -> bool:
        mine, other = "abcdefgh"[number % 8], "bcdefgha"[number % 8]
        return matches(mine, hashes[mine]) and not matches(other, hashes[mine])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(distinguishes, range(200)))


def test_password_is_hashed_after_the_process_was_killed_and_the_next_one_in_a_new_process(
    start: Start,
) -> None:
    process = start()
    killed = pid_of(process)
    os.kill(killed, signal.SIGKILL)
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert process.pid is None
    assert is_gone(killed)
    assert matches(PASSWORD, encoded)
    assert not matches("wrong", encoded)
    assert pid_of(process) != killed


def test_caller_does_not_wait_for_a_process_that_is_killed(start: Start) -> None:
    process = start()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(process.ask, *ENDLESS)
        until(process._lock.locked)
        os.kill(pid_of(process), signal.SIGKILL)
        assert asked.result(timeout=20) is None


def test_password_is_hashed_while_the_process_hangs(start: Start) -> None:
    process = start(wait=0.05)
    hung = pid_of(process)
    os.kill(hung, signal.SIGSTOP)
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert matches(PASSWORD, encoded)
    assert not matches("wrong", encoded)
    # The processors may have been too busy for the process, so it is not replaced at once.
    assert process.pid == hung


def test_caller_does_not_wait_long_for_another_caller(start: Start) -> None:
    process = start(wait=0.05)
    with process._lock:
        assert process.ask("verify", PASSWORD, "anything") is None


def test_process_that_hangs_too_long_is_replaced(start: Start) -> None:
    process = start(wait=0.05, hung=0.0)
    hung = pid_of(process)
    os.kill(hung, signal.SIGSTOP)
    assert process.ask(*QUICK) is None
    assert is_gone(hung)
    process.hung = 60.0
    until(lambda: process.ask(*QUICK))
    assert pid_of(process) != hung


def test_late_answer_does_not_pass_for_the_answer_about_the_next_password(start: Start) -> None:
    process = start(wait=0.05)
    encoded = QuickHasher().encode(PASSWORD, SALT).removeprefix("argon2")
    os.kill(pid_of(process), signal.SIGSTOP)
    assert process.ask("verify", PASSWORD, encoded) is None
    os.kill(pid_of(process), signal.SIGCONT)
    answer = until(lambda: one_of(process.ask("verify", "wrong", encoded)))
    assert answer == [False]


def test_password_is_hashed_when_no_process_can_be_started(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    process = start()
    encoded = Argon2Hasher().encode(PASSWORD, SALT)
    assert process.pid is None
    monkeypatch.undo()
    assert process.ask("verify", PASSWORD, encoded.removeprefix("argon2")) is True


def test_process_uses_at_most_a_sixteenth_of_the_machine() -> None:
    assert [hashing_program.rest_after(0.03, cores) for cores in (1, 2, 8, 16, 64)] == [
        pytest.approx(0.45),
        pytest.approx(0.21),
        pytest.approx(0.03),
        0,
        0,
    ]


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that no server of another test takes."""
    program = tmp_path / "program"
    program.touch()
    monkeypatch.setattr(hashing_program, "__file__", str(program))


@pytest.mark.usefixtures("turns")
def test_a_process_does_not_hash_while_another_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Event()
    monkeypatch.setattr(hashing_program, "LONGEST_WAIT", 60.0)
    monkeypatch.setattr(time, "sleep", lambda _: waits.set())
    hashed: list[str] = []

    def hash_in_turn() -> None:
        with hashing_program.own_turn():
            hashed.append("second")

    with ThreadPoolExecutor(1) as other:
        with hashing_program.own_turn():
            second = other.submit(hash_in_turn)
            assert waits.wait(20)
            hashed.append("first")
        second.result()
    assert hashed == ["first", "second"]


@pytest.mark.usefixtures("turns")
def test_a_process_that_hangs_in_its_turn_keeps_no_other_from_hashing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashing_program, "LONGEST_WAIT", 0.0)
    with hashing_program.own_turn(), hashing_program.own_turn() as entered:
        assert entered is None


def test_a_process_hashes_where_files_have_no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with hashing_program.own_turn() as entered:
        assert entered is None


def test_process_rests_after_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Any] = []
    clock = iter([1.0, 1.5, 2.0, 2.25])
    requests = io.TextIOWrapper(io.BytesIO(b'["none"]\n["none"]\n'))
    monkeypatch.setattr(hashing_program, "lower_priority", lambda: None)
    monkeypatch.setattr(hashing_program, "own_turn", nullcontext)
    monkeypatch.setattr(hashing_program, "rest_after", lambda seconds, cores: seconds)
    monkeypatch.setattr(hashing_program, "result_of", steps.append)
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", steps.append)
    monkeypatch.setattr(sys, "stdin", requests)
    handler = signal.getsignal(signal.SIGPIPE)
    hashing_program.main()
    signal.signal(signal.SIGPIPE, handler)
    assert steps == [b'["none"]\n', 0.5, b'["none"]\n', 0.25]
