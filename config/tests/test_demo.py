"""What `make demo` shows in the terminal."""

from pathlib import Path

import pytest

from apps.accounts.demo import DEMO_PASSWORD
from testing.server import run_python


@pytest.mark.integration
def test_demo_says_how_to_log_in_and_logs_no_line_for_each_example(tmp_path: Path) -> None:
    given = {"DATABASE_URL": f"sqlite://{tmp_path}/demo.sqlite3", "LOG_LEVEL": "info"}
    assert run_python("manage.py", "migrate", "--verbosity", "0", **given).returncode == 0
    done = run_python("manage.py", "demo", **given)
    assert done.returncode == 0, done.stderr
    assert DEMO_PASSWORD in done.stdout
    assert "published" not in done.stdout + done.stderr
