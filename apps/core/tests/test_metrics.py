"""What a process counts, and the sums of several processes."""

import pytest

from apps.core import metrics
from apps.core.metrics import Counted, Counter, Histogram, together


@pytest.fixture(autouse=True)
def _nothing_else_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_declared", {})


def test_a_counter_counts_by_its_labels() -> None:
    counter = Counter("cakes_total", "Cakes.", ("kind",))
    counter.add(2, "lemon")
    counter.add(1, "lemon")
    counter.add(1, "apple")
    assert counter.counted() == {("lemon",): 3, ("apple",): 1}


def test_a_counter_without_labels_begins_at_zero() -> None:
    """Prometheus does not see the first step of a counter that was not there before."""
    assert Counter("cakes_total", "Cakes.").counted() == {(): 0}


def test_a_histogram_counts_each_value_below_its_bound() -> None:
    """A bound belongs to the part below it (`le`)."""
    histogram = Histogram("baking_seconds", "Baking.", ("kind",), (0.5, 1.0))
    for seconds in (0.1, 0.5, 0.6, 7.0):
        histogram.observe(("lemon",), seconds)
    assert histogram.counted() == {("lemon",): [2, 1, 1, pytest.approx(8.2)]}


def test_a_name_is_declared_once() -> None:
    Counter("cakes_total", "Cakes.")
    with pytest.raises(ValueError, match="cakes_total is declared twice"):
        Counter("cakes_total", "Other cakes.")


def test_several_processes_are_added_up() -> None:
    one: Counted = {"cakes_total": {("lemon",): 2}, "baking_seconds": {(): [1, 0, 0.5]}}
    other: Counted = {
        "cakes_total": {("lemon",): 1, ("apple",): 4},
        "baking_seconds": {(): [0, 1, 2.0]},
    }
    assert together([one, other]) == {
        "cakes_total": {("lemon",): 3, ("apple",): 4},
        "baking_seconds": {(): [1, 1, 2.5]},
    }
    assert one["cakes_total"] == {("lemon",): 2}
