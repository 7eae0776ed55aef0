"""A machine in one folder: its commands, taken from the documents, its servers and its proxy."""

import os
import re
import shlex
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from testing.drill.load import Server
from testing.server import until

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations.md"
# No setting of the developer's own reaches the machine.
KEPT = re.compile(r"PATH|HOME|LANG|LC_.*|TMPDIR|PIP_.*|SSL_.*|.*_proxy", re.IGNORECASE)


class DrillFailed(Exception):
    """A step did not do what it is to do; the message is what came."""


def commands(name: str) -> list[str]:
    """Return the commands of the page's block of that name, one for each line."""
    found = re.search(rf"^```sh {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise DrillFailed(f"{PAGE.name} has no block `{name}`.")
    return found[1].strip().split("\n")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


class Machine:
    """Folders in place of those of a real machine, and the processes that run there."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.release = folder / "opt" / "current"
        self.environment = {name: v for name, v in os.environ.items() if KEPT.fullmatch(name)}
        self.environment |= settings
        self._moved = {
            "/opt/parley": str(folder / "opt"),
            "/var/lib/parley": str(folder / "data"),
            "/etc/nginx/conf.d": str(folder),
            "runuser -u parley -- ": "",
        }
        for path in (self.release.parent, folder / "data"):
            path.mkdir(mode=0o700)

    def here(self, text: str) -> str:
        """Return the command or file with this machine's folders in place of those in it."""
        for theirs, ours in self._moved.items():
            text = text.replace(theirs, ours)
        return text

    def type(self, command: str, folder: Path | None = None, **environment: str) -> str:
        """Run the command of a document, print it and its last line; return what it printed."""
        say(f"   $ {command}")
        done = subprocess.run(
            ["sh", "-ec", self.here(command)],
            cwd=folder or (self.release if self.release.exists() else self.folder),
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        if done.returncode:
            raise DrillFailed("\n".join([f"Exit code {done.returncode}:", *lines[-15:]]))
        if lines:
            say(f"     {lines[-1]}")
        return done.stdout

    @contextmanager
    def serving(
        self, command: str, server: Server, folder: Path | None = None, **environment: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the command until the end of the block, once the server answers."""
        say(f"   $ {command}")
        log = self.folder / f"{server.url.rpartition(':')[2]}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                # The shell does not stay between the signals and the program.
                ["sh", "-ec", f"exec {self.here(command)}"],
                cwd=folder or self.release,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches this program alone, which ends the others in their order.
                start_new_session=True,
            )
        try:
            until(lambda: _answers(process, server, log), seconds=300)
            say(f"     {server.url} answers.")
            yield process
        finally:
            _end(process)


def _answers(process: "subprocess.Popen[bytes]", server: Server, log: Path) -> bool:
    if process.poll() is not None:
        raise DrillFailed(f"It has ended:\n{log.read_text()[-1500:]}")
    return version(server) != ""


def version(server: Server) -> str:
    """Return the version of the code that answers, or nothing if none does."""
    try:
        with server.client() as client:
            found: str = client.get("/health").raise_for_status().json()["version"]
            return found
    except httpx.HTTPError:
        return ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the process and its children, as Ctrl-C in its terminal would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for localhost in the folder; return what trusts only that."""
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost -keyout privkey.pem -out fullchain.pem"
        ),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return ssl.create_default_context(cafile=str(folder / "fullchain.pem"))


def nginx_settings(folder: Path, plain: int, tls: int, port: int) -> Path:
    """Fit parley.conf in the folder to the ports of this machine, and return what nginx reads."""
    site = folder / "parley.conf"
    text = site.read_text()
    for theirs, ours in {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ": f"listen 127.0.0.1:{tls} ",
        "/etc/letsencrypt/live/localhost": str(folder),
        "/var/log/nginx": str(folder),
    }.items():
        if theirs not in text:
            raise DrillFailed(f"deploy/nginx.conf has no `{theirs}` any more.")
        text = text.replace(theirs, ours)
    site.write_text(re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE))
    temporary = "".join(
        f"    {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    account = "user root;\n" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{account}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\n"
        f"events {{}}\nhttp {{\n{temporary}    include {site};\n}}\n"
    )
    return main
