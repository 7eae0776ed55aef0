"""UUIDs of version 7."""

from uuid import RFC_4122

import pytest

from apps.core.ids import uuid7
from apps.core.tests.together import together


def test_an_id_is_a_uuid_of_version_7() -> None:
    for _ in range(1_000):
        made = uuid7()
        assert made.version == 7
        assert made.variant == RFC_4122


@pytest.mark.parametrize("step", [250, 1_000_000, 10**9, 10**18])
def test_ids_sort_by_their_creation_time(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Times that are 250 nanoseconds apart give different ids, which also sort as text."""
    times = iter(range(1_790_000_000_000_000_000, 2**63, step))
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: next(times))
    ids = [uuid7() for _ in range(8)]
    assert ids == sorted(ids)
    assert [str(each) for each in ids] == sorted(map(str, ids))


def test_an_id_begins_with_the_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: 1_645_557_742_000_000_000)
    assert str(uuid7()).startswith("017f22e2-79b0-7000-")


def test_ids_of_the_same_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: 1_645_557_742_000_000_000)
    assert len({uuid7() for _ in range(10_000)}) == 10_000


def test_ids_made_in_many_threads_differ() -> None:
    made = together(*[lambda: [uuid7() for _ in range(1_000)]] * 8)
    ids = [each for ids in made if isinstance(ids, list) for each in ids]
    assert len(ids) == len(set(ids)) == 8_000
