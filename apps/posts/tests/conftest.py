"""Fixtures of the tests of posts."""

from collections.abc import Iterator

import pytest

from apps.posts import view_counts, views
from apps.posts.view_counts import ViewCounter


@pytest.fixture(autouse=True)
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[ViewCounter]:
    """A view counter for this test alone, which writes only when the test calls flush().

    The timer of the process's own counter might write during another test.
    """
    monkeypatch.setattr(view_counts, "FLUSH_SECONDS", 3600.0)
    counter = ViewCounter()
    monkeypatch.setattr(views, "view_counter", counter)
    yield counter
    if counter._timer is not None:
        counter._timer.cancel()
