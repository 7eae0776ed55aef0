"""`serve --reload`: the server starts again after each change of the sources."""

import signal
from pathlib import Path

import pytest

from testing.server import free_port, python_process, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# manage.py serve, with other sources: the first argument names their folder, which is looked at
# often. One of them says whether the server can start.
SERVE = """
import sys
from pathlib import Path
from config import reloading
from config.command_line import run

folder, *arguments = sys.argv[1:]
reloading.FOLDERS, reloading.LOOK_SECONDS = (folder,), 0.05
if "--reload" not in arguments:
    exec(Path(folder, "source.py").read_text())
run(["manage.py", "serve", *arguments])
"""


def test_a_server_starts_again_after_a_change_and_survives_a_mistake(tmp_path: Path) -> None:
    folder, log = tmp_path / "sources", tmp_path / "log"
    folder.mkdir()
    source = folder / "source.py"
    source.write_text("right = 1")
    arguments = ["-c", SERVE, str(folder), f"--port={free_port()}", "--reload"]
    with python_process(log, *arguments) as server:
        until(lambda: log.read_text().count("  data   ") == 1, seconds=30)
        source.write_text("a mistake")
        until(lambda: "It starts again after the next change." in log.read_text(), seconds=30)
        assert "SyntaxError" in log.read_text()
        source.write_text("right = 2")
        until(lambda: log.read_text().count("  data   ") == 2, seconds=30)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
        assert log.read_text().endswith("Stopped.\n")
