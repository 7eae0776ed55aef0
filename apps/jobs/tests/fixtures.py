"""Workers for the tests of all apps."""

from pathlib import Path

import pytest

from apps.jobs.tests.workers import KillWorker, worker_killer


@pytest.fixture
def kill_worker(tmp_path: Path) -> KillWorker:
    return worker_killer(tmp_path)
