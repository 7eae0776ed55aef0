"""One machine from `make run` to an upgrade under load and back: python -m testing.drill [short].

Each step types the commands of README.md and docs/operations.md, and prints what came. The folders,
ports and certificates are the drill's own, PostgreSQL and Redis are private, and all end with it.
The short form uses the packages that are installed here, and goes on without nginx.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from testing.drill.load import Load, Server, Shown, shown, write_some
from testing.drill.machine import (
    ROOT,
    DrillFailed,
    Machine,
    certificate,
    commands,
    nginx_settings,
    say,
    version,
)
from testing.server import free_port, until
from testing.servers import private_postgres, private_redis

REPLACED = "all processes were replaced"


class Drill:
    """The steps in their order. `short` is the form that installs nothing."""

    def __init__(self, folder: Path, short: bool, postgres: str, redis: str) -> None:
        self.short = short
        self.postgres = postgres
        self.port = free_port()
        self.trial = folder / "parley"
        self.local = Server(f"http://localhost:{self.port}")
        self.nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        # The sockets and the ports of a real machine are the defaults of deploy/production.env.
        self.production = {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(urlsplit(postgres).port),
            "REDIS_PORT": str(urlsplit(redis).port),
            "SERVER_PORT": str(self.port),
            **({} if self.nginx else {"SERVER_TRUSTED_PROXIES": "0"}),
        }
        self.machine = Machine(
            folder,
            {
                "host": "localhost",
                "repository": str(self.trial),
                "PYTHONDONTWRITEBYTECODE": "1",
                # The commit of the release that the drill makes.
                **{f"GIT_{who}_NAME": "Drill" for who in ("AUTHOR", "COMMITTER")},
                **{f"GIT_{who}_EMAIL": "drill@localhost" for who in ("AUTHOR", "COMMITTER")},
            },
        )

    def run(self) -> None:
        """Do all steps; raises DrillFailed or AssertionError at the first that fails."""
        before, backup = self.embedded()
        self.install(backup)
        with ExitStack() as running:
            server = running.enter_context(self.proxied())
            unit = (self.machine.release / "deploy" / "parley@.service").read_text()
            start = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)[0]
            process = running.enter_context(self.machine.serving(start, self.local))
            after = shown(server)
            if after != before:
                raise DrillFailed(f"SQLite had {before}, PostgreSQL has {after}.")
            say(f"   = {after} as on SQLite, at {server.url}.")
            self.restore(*self.back_up(server))
            old = self.machine.type("git rev-parse HEAD").strip()
            self.change(
                "5. The upgrade, under load", "upgrade", self.next_release(), server, process
            )
            self.change("6. The way back, under load", "rollback", old, server, process)
            self.kill(server, process)

    def embedded(self) -> tuple[Shown, str]:
        """Serve a fresh clone as README.md says; return what it shows, and its backup."""
        say("1. A fresh clone, with SQLite")
        self.machine.type(f"git clone --quiet {ROOT} {self.trial}")
        if self.short:
            # The stamps of the packages are to be newer than the lock file of the clone.
            (self.trial / ".venv").symlink_to(ROOT / ".venv")
            os.utime(self.trial / "requirements.txt", (0, 0))
        server = Server(f"http://localhost:{free_port()}")
        port = server.url.rpartition(":")[2]
        with self.machine.serving("make run", server, folder=self.trial, SERVER_PORT=port):
            write_some(server)
            before = shown(server)
            say(f"   = {before}")
            made = self.machine.type(".venv/bin/python manage.py backup", folder=self.trial)
        return before, archive(made)

    def install(self, backup: str) -> None:
        """Put a release into its place, and the data into PostgreSQL."""
        say("2. PostgreSQL and Redis, two processes, TLS")
        self.machine.environment |= self.production
        for command in commands("install"):
            if command.startswith("python3 -m venv") and self.short:
                self.machine.type(f"ln -s {ROOT}/.venv .venv")
            elif command.endswith("manage.py migrate"):
                restore = command.replace("migrate", f"restore {backup}")
                self.machine.type(restore)
            else:
                self.machine.type(command)
            if command.endswith("> .env"):
                settings = self.machine.release / ".env"
                settings.write_text(self.machine.here(settings.read_text()))

    @contextmanager
    def proxied(self) -> Iterator[Server]:
        """Yield the server as its clients reach it: behind nginx, if there is one."""
        if not self.nginx:
            missing = "There is no nginx on the PATH; on Debian and Ubuntu: apt install nginx"
            if not self.short:
                raise DrillFailed(missing)
            say(f"   ! {missing}. WITHOUT A PROXY AND TLS from here on.")
            yield self.local
            return
        folder, tls = self.machine.folder, free_port()
        for command in commands("proxy"):
            self.machine.type(command.removesuffix(" && nginx -s reload"))
        trusted = certificate(folder)
        settings = nginx_settings(folder, free_port(), tls, self.port)
        with subprocess.Popen([self.nginx, "-c", settings, "-p", folder]) as process:
            try:
                yield Server(f"https://localhost:{tls}", trusted)
            finally:
                process.terminate()

    def back_up(self, server: Server) -> tuple[str, Shown, Shown]:
        """Back up under load; return the archive, and what was shown before it and after."""
        say("3. A backup, while clients write")
        with Load(server) as load:
            load.goes_on()
            before = shown(server)
            made = self.machine.type(commands("upgrade")[0])
            load.goes_on()
            after = shown(server)
        load.check()
        say(f"   = {load}")
        return archive(made), before, after

    def restore(self, backup: str, before: Shown, after: Shown) -> None:
        """Restore into an empty database, and compare what a server shows from it."""
        say("4. The backup, in an empty place")
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute("CREATE DATABASE drill")
        for command in commands("restore"):
            self.machine.type(command, backup=backup)
        port = free_port()
        place = Server(f"http://localhost:{port}")
        (serve,) = commands("serve")
        with self.machine.serving(serve.replace("8099", str(port)), place):
            there = shown(place)
        # The messages are in their order, so the backup has all up to one.
        sent = len(there.messages)
        if (
            there.posts != before.posts
            or there.messages != after.messages[:sent]
            or sent < len(before.messages)
        ):
            raise DrillFailed(f"Between {before} and {after}, but the backup has {there}.")
        say(
            f"   = {there}, each as on the server, which had {len(before.messages)} messages "
            f"before the backup and {len(after.messages)} after."
        )

    def next_release(self) -> str:
        """Commit a release with another version in the repository, and return its name."""
        settings = self.trial / "config" / "settings.py"
        changed, count = re.subn(r'("APP_VERSION", ")', r"\1next-", settings.read_text())
        if count != 1:
            raise DrillFailed(f"{settings.name} has no version.")
        settings.write_text(changed)
        self.machine.type(
            "git commit --quiet --message Next --no-verify config/settings.py && git tag next",
            folder=self.trial,
        )
        return "next"

    def change(
        self,
        title: str,
        block: str,
        release: str,
        server: Server,
        process: "subprocess.Popen[bytes]",
    ) -> None:
        """Put another release in place of the one that serves, under load."""
        say(title)
        before, replaced = version(server), self.replaced()
        with Load(server) as load:
            load.goes_on()
            for command in commands(block):
                if command.startswith("systemctl kill"):
                    say(f"   $ {command}")
                    process.send_signal(signal.SIGHUP)
                elif not (command.endswith(" backup") or (self.short and "pip" in command)):
                    self.machine.type(command, release=release)
            until(lambda: self.replaced() > replaced, seconds=120)
            load.goes_on()
        load.check()
        say(f"   = {load}; version {before}, then {version(server)}.")
        if version(server) == before:
            raise DrillFailed("The other release does not serve.")

    def replaced(self) -> int:
        """Return how many times the log says that all processes were replaced."""
        return (self.machine.folder / f"{self.port}.log").read_text().count(REPLACED)

    def kill(self, server: Server, process: "subprocess.Popen[bytes]") -> None:
        """See that the counter counts."""
        say("7. A server that is killed, to see that what fails is counted")
        with Load(server) as load:
            load.goes_on()
            say(f"   $ kill -KILL {process.pid}")
            process.kill()
            until(lambda: load.failed, seconds=30)
        say(f"   = {load.failed[0].splitlines()[0]}")
        until(lambda: not version(self.local), seconds=30)


def archive(said: str) -> str:
    """Return the path that the command `backup` names."""
    (path,) = re.findall(r"^(/.+\.zip): ", said, re.MULTILINE)
    return str(path)


def main(arguments: list[str]) -> int:
    """Run the drill, and return 0 if every step did what it is to do."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="parley-drill-") as folder,
            private_postgres() as postgres,
            private_redis() as redis,
        ):
            Drill(Path(folder), "short" in arguments, postgres, redis).run()
    except (DrillFailed, AssertionError, httpx.HTTPError) as failure:
        say(f"   FAILED: {failure}")
        return 1
    say("Every step did what the documents say.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
