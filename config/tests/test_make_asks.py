"""make asks before it deletes what cannot be had again; without a terminal it has to be told."""

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *showmigrations*) printf '[X]  posts.0001_initial\\n[X]  posts.0002_lists_by_status\\n' ;;
    *) echo "$*" >> calls ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which Parley has run."""
    shutil.copy(settings.BASE_DIR / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", "var/parley.sqlite3", ".venv/bin/uv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    for stamp in (".installed", ".installed-dev"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def make(
    clone: Path, *arguments: str, answer: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run make, at a terminal if there is an answer."""
    terminal, ours = pty.openpty() if answer is not None else (None, subprocess.DEVNULL)
    if terminal is not None:
        os.write(terminal, f"{answer}\n".encode())
    try:
        return subprocess.run(
            ["make", *arguments], cwd=clone, stdin=ours, capture_output=True, text=True, check=False
        )
    finally:
        for descriptor in (terminal, ours):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)


def called(clone: Path) -> list[str]:
    calls = clone / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_clean_all_without_a_terminal_needs_the_word(clone: Path) -> None:
    refused = make(clone, "clean-all")
    assert refused.returncode != 0
    assert "var/parley.sqlite3" in refused.stdout
    assert "add: sure=yes" in refused.stdout
    assert (clone / "var" / "parley.sqlite3").exists()
    assert (clone / ".venv").exists()
    assert make(clone, "clean-all", "sure=yes").returncode == 0
    assert not (clone / "var").exists()
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(("answer", "removed"), [("yes", True), ("no", False)])
def test_clean_all_at_a_terminal_asks(clone: Path, answer: str, removed: bool) -> None:
    assert (make(clone, "clean-all", answer=answer).returncode == 0) == removed
    assert (clone / "var").exists() != removed


def test_migrate_down_says_what_is_lost_and_asks(clone: Path) -> None:
    for refused in (
        make(clone, "migrate-down", "app=posts"),
        make(clone, "migrate-down", "app=posts", answer="no"),
    ):
        assert refused.returncode != 0
        assert "This takes back posts.0002_lists_by_status" in refused.stdout
    assert called(clone) == []
    assert make(clone, "migrate-down", "app=posts", "sure=yes").returncode == 0
    assert make(clone, "migrate-down", "app=posts", answer="yes").returncode == 0
    assert called(clone) == ["manage.py migrate posts 0001_initial"] * 2
