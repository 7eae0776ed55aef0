"""Each invariant of what jobs do finds nothing in a journal in which all is well, and finds its own
fault in one in which something is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from testing.chaos import told
from testing.chaos.invariants import Violation
from testing.chaos.journal import Applied, Arrived, DeviceJournal, Journal, Part, Stored, Told
from testing.chaos.told import TOLD_INVARIANTS, told_violations

EVERY = {"websocket": "sent", "email": "sent", "push": "sent"}
BEN_HAS_NO_MAIL = {**EVERY, "email": "skipped"}


def journal() -> Journal:
    """Return that Ada wrote two posts, of which Ben is told, who wants no mail, and Cleo, who wants
    all; and that a periodic job ran in three slots."""
    here = Journal(author="ada", slots=range(7, 10), runs=Counter([7, 8, 9]))
    here.wanted = {
        "ben": frozenset({"websocket", "push"}),
        "cleo": frozenset({"websocket", "email", "push"}),
    }
    here.addresses = {"ben": "ben@home", "cleo": "cleo@home"}
    for user in ("ben", "cleo"):
        here.devices.append(
            DeviceJournal(user, f"{user}'s phone", parts={f"user.{user}": [Part(0)]})
        )
    for post in ("p1", "p2"):
        here.stored.append(Stored(f"id of {post}", post, "ada", "feed", "Ahoy", False))
        tell(here, 0, post, BEN_HAS_NO_MAIL)
        tell(here, 1, post, EVERY)
    # A repeat is no fault.
    here.arrived.append(here.arrived[0])
    return here


def tell(here: Journal, number: int, post: str, decisions: Mapping[str, str]) -> None:
    """Tell a user of a post by these channels."""
    device = here.devices[number]
    user, [part] = device.user, device.parts[f"user.{device.user}"]
    id_ = f"{user} of {post}"
    here.told.append(Told(id_, user, post, decisions))
    here.listed.setdefault(user, []).append(id_)
    part.events.append(Applied(part.last + 1, "notification", id_, "", 0.0))
    here.arrived += [
        Arrived(channel, here.addresses[user], post, id_)
        for channel in ("email", "push")
        if decisions[channel] == "sent"
    ]


# Each makes something wrong: what, by which invariant it has to be found, and as what.


def never_told(here: Journal) -> None:
    here.told.pop()


def told_twice(here: Journal) -> None:
    here.told.append(replace(here.told[0], id="once more"))


def told_after_a_block(here: Journal) -> None:
    here.told.append(Told("n", "dora", "p1", EVERY))


def told_of_what_was_rolled_back(here: Journal) -> None:
    here.told.append(Told("n", "ben", "p9", EVERY))


def never_arrived(here: Journal) -> None:
    here.arrived.pop(1)


def arrived_unwanted(here: Journal) -> None:
    here.arrived.append(Arrived("email", "ben@home", "p1", "n"))


def repeated_under_another_id(here: Journal) -> None:
    here.arrived.append(replace(here.arrived[0], message_id="another"))


def two_under_one_id(here: Journal) -> None:
    here.arrived.append(replace(here.arrived[0], client_id="p2"))


def said_to_be_sent(here: Journal) -> None:
    here.told[0] = replace(here.told[0], decisions=EVERY)


def said_to_be_skipped(here: Journal) -> None:
    here.told[1] = replace(here.told[1], decisions=BEN_HAS_NO_MAIL)


def still_pending(here: Journal) -> None:
    here.told[0] = replace(here.told[0], decisions={**EVERY, "email": "pending"})


def not_on_the_socket(here: Journal) -> None:
    here.devices[0].parts["user.ben"][0].events.pop()


def undecided(here: Journal) -> None:
    here.told[1] = replace(here.told[1], decisions={"websocket": "sent", "push": "sent"})


def not_listed(here: Journal) -> None:
    here.listed["ben"].pop()


def listed_twice(here: Journal) -> None:
    here.listed["ben"] *= 2


def slot_left_out(here: Journal) -> None:
    del here.runs[8]


def slot_repeated(here: Journal) -> None:
    here.runs[8] += 1


Finds = Callable[[Journal], Iterator[Violation]]
FAULTS: list[tuple[Callable[[Journal], None], Finds, str]] = [
    (never_told, told.followers_are_told_once, "lost"),
    (told_twice, told.followers_are_told_once, "duplicated"),
    (told_after_a_block, told.followers_are_told_once, "wrong"),
    (told_of_what_was_rolled_back, told.followers_are_told_once, "wrong"),
    (never_arrived, told.channels_are_as_wanted, "lost"),
    (arrived_unwanted, told.channels_are_as_wanted, "wrong"),
    (repeated_under_another_id, told.repeats_have_one_id, "duplicated"),
    (two_under_one_id, told.repeats_have_one_id, "wrong"),
    (said_to_be_sent, told.decisions_are_true, "wrong"),
    (said_to_be_skipped, told.decisions_are_true, "wrong"),
    (still_pending, told.decisions_are_true, "wrong"),
    (not_on_the_socket, told.decisions_are_true, "wrong"),
    (undecided, told.each_channel_is_decided, "wrong"),
    (not_listed, told.api_lists_each_once, "lost"),
    (listed_twice, told.api_lists_each_once, "duplicated"),
    (slot_left_out, told.each_slot_has_one_run, "lost"),
    (slot_repeated, told.each_slot_has_one_run, "duplicated"),
]


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert told_violations(journal()) == []


@pytest.mark.parametrize(("fault", "finds", "kind"), FAULTS)
def test_a_fault_is_found(fault: Callable[[Journal], None], finds: Finds, kind: str) -> None:
    here = journal()
    fault(here)
    assert kind in {found.kind for found in finds(here)}


def test_every_invariant_can_fail() -> None:
    assert {finds for _, finds, _ in FAULTS} == {*TOLD_INVARIANTS}
