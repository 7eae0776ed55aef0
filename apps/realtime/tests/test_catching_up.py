"""What sockets that catch up may cost everybody else."""

import pytest

from apps.realtime import log
from apps.realtime.log import events_after
from apps.realtime.models import LoggedEvent
from apps.realtime.tests.factories import log_posts

STREAM = "feed"


def say(*texts: str) -> None:
    for text in texts:
        log_posts(1, tag=text)


def page_after(after: int, up_to: int | None = None) -> list[int | None]:
    missed = events_after(STREAM, after, up_to)
    assert missed.complete
    return [frame.seq for frame in missed.frames]


@pytest.mark.django_db
def test_a_page_of_the_log_has_no_more_than_so_many_bytes_and_one_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "PAGE_BYTES", 10_000)
    say(*["x" * 4_000] * 5, "x" * 40_000, "short", "x" * 40_000, "short")
    assert page_after(0) == [1, 2, 3]
    assert page_after(0, up_to=2) == [1, 2]
    assert page_after(3) == [4, 5, 6]
    assert page_after(6) == [7, 8]
    assert page_after(8) == [9]


@pytest.mark.django_db
def test_letters_of_several_bytes_count_as_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "PAGE_BYTES", 10_000)
    say(*["\N{GRINNING FACE}" * 1_500] * 3)
    assert page_after(0) == [1, 2]


@pytest.mark.django_db
def test_of_events_whose_bytes_nobody_counted_a_page_has_no_more_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "PAGE_EVENTS", 4)
    say(*["short"] * 9)
    LoggedEvent.objects.update(size=0)
    assert [page_after(0), page_after(4), page_after(8)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
