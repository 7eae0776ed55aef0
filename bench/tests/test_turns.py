"""A row of the table compares two sides that were measured in turn."""

from collections import Counter
from math import nan

from bench.load import Answered
from bench.turns import Comparison, Turn, in_turn, row


def turn(per_second: float, cpu: float, failures: int = 0) -> Turn:
    counted = Counter({500: failures})
    return Turn(Answered(100, per_second, 0.001, 0.002, 0.00001, counted), cpu)


def test_both_ratios_are_larger_where_parley_is_faster() -> None:
    turns = {"Parley": [turn(600, 0.001)] * 3, "before": [turn(100, 0.005)] * 3}
    found = row("one post", turns, Comparison("Parley", "before", "≥ 5"))
    assert (found["ratio"], found["cpu ratio"], found["goal"]) == (6, 5, "≥ 5")


def test_a_limit_that_was_not_measured_is_named_so() -> None:
    found = row("one post", {"Parley": [turn(600, 0.001)]}, Comparison("Parley", "before"))
    assert found["compared with"] == "before (not measured)"
    assert found["ratio"] is None
    assert found["requests/s"] == 600


def test_a_limit_without_a_server_has_no_ratio_of_processor_times() -> None:
    turns = {"Parley": [turn(600, 0.001)], "pgbench": [turn(1_200, nan)]}
    found = row("create", turns, Comparison("Parley", "pgbench"))
    assert (found["ratio"], found["cpu ratio"], found["limit's cpu µs"]) == (0.5, None, None)


def test_failures_of_all_turns_are_counted() -> None:
    turns = {"Parley": [turn(600, 0.001, failures=2), turn(600, nan)]}
    assert row("one post", turns, Comparison("Parley", "before"))["failed"] == 2


def test_the_sides_take_turns_and_the_first_of_each_warms_it_up() -> None:
    order: list[str] = []

    def side(name: str) -> Turn:
        order.append(name)
        return turn(len(order), 0)

    turns = in_turn({"a": lambda: side("a"), "b": lambda: side("b")}, rounds=2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert [one.answered.per_second for one in turns["a"]] == [3, 5]
