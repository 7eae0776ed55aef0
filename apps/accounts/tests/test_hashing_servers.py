"""Servers hash passwords in a process of the lowest priority. They survive its end, and it does not
survive theirs."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import PASSWORD, Person
from testing.server import ServerProcess, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def _started(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with django_db_blocker.unblock():
        log = tmp_path_factory.mktemp("server") / "log"
        process = ServerProcess(log, {"PARLEY_TAMPER": "real-hashes,replaces-early"})
    with process:
        yield process


@pytest.fixture
def server(transactional_db: Any, _started: ServerProcess) -> ServerProcess:
    """A server that these tests share, because each leaves it with a working process."""
    return _started


def hashing_pids(server: ServerProcess) -> list[int]:
    """Return the ids of the running processes that the server has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except OSError:
            # The process has ended since glob() found it.
            continue
        if fields["PPid"] == str(server.pid) and not fields["State"].startswith("Z"):
            found.append(int(fields["Pid"]))
    return found


def hashing_pid(server: ServerProcess) -> int:
    [pid] = hashing_pids(server)
    return pid


def working_pid(server: ServerProcess) -> int:
    """Return the id of the server's process once it has hashed a password. On a busy machine the
    process may answer late and be replaced first."""
    return until(
        lambda: log_in(server) == 200 and next(filter(has_hashed, hashing_pids(server)), 0)
    )


def has_hashed(pid: int) -> bool:
    """Return whether the process has ever held the memory that hashing takes."""
    return peak_kib(pid) > 19 * 1024


def peak_kib(pid: int) -> int:
    """Return the most memory that the process has held, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def log_in(server: ServerProcess, password: str = PASSWORD) -> int:
    body = {"email": "alice@example.com", "password": password}
    return server.call("POST", "/api/v1/auth/login", json=body).status_code


def test_server_starts_a_process_of_the_lowest_priority_before_its_first_request(
    server: ServerProcess,
) -> None:
    pid = hashing_pid(server)
    until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
    assert os.getpriority(os.PRIO_PROCESS, server.pid) == 0
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        until(lambda: group.read_text().endswith(" nice 10\n"))
    # The terminal's signals must not reach the process: the server may still need it.
    assert os.getsid(pid) != os.getsid(server.pid)


def test_server_hashes_a_password_in_its_process(server: ServerProcess, alice: Person) -> None:
    assert working_pid(server)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_login_works_when_the_process_fails_and_the_next_login_has_a_new_process(
    server: ServerProcess, alice: Person, fault: signal.Signals
) -> None:
    failed = working_pid(server)
    os.kill(failed, fault)
    assert log_in(server) == 200
    assert log_in(server, "wrong") == 401
    assert is_gone(failed)
    assert working_pid(server)


def test_server_serves_other_requests_while_passwords_are_hashed(
    start_server: Start, alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="real-hashes,waits-long")
    pid = hashing_pid(server)
    with ThreadPoolExecutor() as clients:
        os.kill(pid, signal.SIGSTOP)
        try:
            logins = [clients.submit(log_in, server) for _ in range(4)]
            for path in ("/api/v1/posts", "/health", "/docs/realtime"):
                assert server.call("GET", path).status_code == 200
            assert not any(login.done() for login in logins)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {login.result() for login in logins} == {200}
    assert hashing_pid(server) == pid


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_does_not_outlive_its_server(start_server: Start, how: signal.Signals) -> None:
    server = start_server(PARLEY_TAMPER="real-hashes")
    pid = hashing_pid(server)
    server.send(how)
    until(lambda: is_gone(pid))
