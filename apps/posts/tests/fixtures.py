"""What posts bring to all tests."""

import pytest

from apps.posts import view_counts


@pytest.fixture(autouse=True)
def _views_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no views by the timer: those of one test would be written during another one."""
    monkeypatch.setattr(view_counts, "FLUSH_SECONDS", 3600)
