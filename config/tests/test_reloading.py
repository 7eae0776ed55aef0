"""`serve --reload`: the server starts again after each change of the sources."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from testing.server import database_url, free_port, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# manage.py serve, with other sources: the first argument names their folder. One of them says
# whether the server can start.
SERVE = """
import sys
from pathlib import Path
from config import reloading
from config.command_line import run

folder, *arguments = sys.argv[1:]
reloading.FOLDERS = (folder,)
if "--reload" not in arguments:
    exec(Path(folder, "source.py").read_text())
run(["manage.py", "serve", *arguments])
"""


def test_a_server_starts_again_after_a_change_and_survives_a_mistake(tmp_path: Path) -> None:
    folder, log = tmp_path / "sources", tmp_path / "log"
    folder.mkdir()
    source = folder / "source.py"
    source.write_text("right = 1")
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder), f"--port={free_port()}", "--reload"],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings_test",
                "DATABASE_URL": database_url(),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: log.read_text().count("  data   ") == 1, seconds=30)
        source.write_text("a mistake")
        until(lambda: "It starts again after the next change." in log.read_text(), seconds=30)
        assert "SyntaxError" in log.read_text()
        source.write_text("right = 2")
        until(lambda: log.read_text().count("  data   ") == 2, seconds=30)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
        assert log.read_text().endswith("Stopped.\n")
    finally:
        server.terminate()
        server.wait()
