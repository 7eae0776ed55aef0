"""Values that are written some seconds later: the newest of each key, and not too many."""

from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from apps.core.write_behind import Bounds, WriteBehind


class Letters(WriteBehind[str, str]):
    """Letters by their names, which a test writes itself."""

    name = "letters"
    bounds = Bounds(seconds=60, most=2, batch=10)

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[str] = []

    def save(self, values: Sequence[str]) -> None:
        self.saved += values


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    made = Letters()
    monkeypatch.setattr(made, "_start_timer", Mock())
    return made


def test_a_newer_value_replaces_one_that_waits_also_where_no_other_finds_room(
    letters: Letters,
) -> None:
    for key, value in (("a", "old"), ("b", "kept"), ("c", "one too many"), ("a", "new")):
        letters.put(key, value)
    letters.flush()
    assert letters.saved == ["new", "kept"]
