"""UUIDs of version 7."""

from uuid import RFC_4122, UUID

import pytest

from apps.core.ids import in_order, uuid7, uuid7s
from apps.core.tests.together import together


def test_an_id_is_a_uuid_of_version_7() -> None:
    for made in [uuid7() for _ in range(1_000)] + uuid7s(1_000):
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
    assert len({uuid7() for _ in range(10_000)} | set(uuid7s(10_000))) == 20_000


def test_many_ids_come_in_the_order_of_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_790_000_000_000_000_000, 2**63, 250))
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: next(times))
    ids = uuid7s(8)
    assert ids == sorted(ids)
    assert uuid7s(0) == []


def test_tuples_of_ids_sort_by_their_key_as_by_themselves() -> None:
    pairs = [(UUID(int=one), UUID(int=other)) for one in (3, 1, 2**127) for other in (2, 0)]
    assert sorted(pairs, key=in_order) == sorted(pairs)


def test_ids_made_in_many_threads_differ() -> None:
    made = together(*[lambda: [uuid7() for _ in range(1_000)]] * 8)
    ids = [each for ids in made if isinstance(ids, list) for each in ids]
    assert len(ids) == len(set(ids)) == 8_000
