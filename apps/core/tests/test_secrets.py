"""The secrets that an installation makes for itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.secrets import kept_secret


def test_a_secret_is_generated_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    first = kept_secret(path)
    assert len(first) >= 64
    assert kept_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o644)
    assert kept_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0


def test_a_secret_is_synced_to_disk_before_its_file_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut may leave an empty file, and no server would start again."""
    done: list[str] = []
    link = os.link

    def recorded_link(*names: Path) -> None:
        done.append("link")
        link(*names)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))
    monkeypatch.setattr(os, "link", recorded_link)
    kept_secret(tmp_path / "secret")
    assert done == ["fsync", "link"]


def test_a_secret_that_another_process_has_just_generated_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("theirs\n")
    exists = iter([False, True, True])
    monkeypatch.setattr(Path, "exists", lambda _, **__: next(exists))
    assert kept_secret(path) == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def keep_secrets(folder: Path, *names: str, **environment: str) -> dict[str, str]:
    """Run the program that makes secrets, and return the content of each file in the folder."""
    subprocess.run(
        [sys.executable, "-m", "config.secrets", str(folder), *names],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment},
        check=True,
    )
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.integration
def test_the_secrets_of_an_installation_are_made_once_unless_they_are_given(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = keep_secrets(folder, "JWT_SECRET", "DB_PASSWORD", JWT_SECRET="", DB_PASSWORD="")
    assert len({*made.values()}) == 2
    assert min(map(len, made.values())) >= 64
    assert keep_secrets(folder, "JWT_SECRET", "DB_PASSWORD", DB_PASSWORD="a $ 'b'") == {
        "JWT_SECRET": made["JWT_SECRET"],
        "DB_PASSWORD": "a $ 'b'",
    }
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o077 == 0
