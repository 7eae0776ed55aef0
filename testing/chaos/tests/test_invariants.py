"""Each invariant finds nothing in a journal in which all is well, and finds its own fault in one in
which something is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from testing.chaos import invariants
from testing.chaos.invariants import INVARIANTS, Violation, violations, within
from testing.chaos.journal import (
    Applied,
    Arrival,
    Attempt,
    DeviceJournal,
    Journal,
    Logged,
    Part,
    Stored,
)

BENS = "user.ben"
CREW = "conversation.crew"
COUNT = 3


def journal() -> Journal:
    """Return that Ada sent Ben three messages, of which Ben has all, and one that was refused."""
    ben = DeviceJournal("ben", "Ben's phone")
    ben.arrivals.append(Arrival(BENS, None, 0.0))
    ben.parts[BENS] = [Part(4)]
    here = Journal(devices=[ben], members={"crew": {"ada", "ben"}})
    for number in range(1, COUNT + 1):
        send(here, number)
    here.attempts["no"] = Attempt("no", "ada", "nobody", {"No"}, 1, "refused")
    here.shown = {"ada": ids(here), "ben": ids(here)}
    here.unread = {"ben": (COUNT, COUNT)}
    return here


def send(here: Journal, number: int) -> None:
    """Have Ada send Ben a message, which is stored, logged and received."""
    id_, seq, at = f"m{number}", 4 + number, float(number)
    attempt = here.attempts[f"c{number}"] = Attempt(f"c{number}", "ada", "ben", {f"Ahoy {number}"})
    attempt.acknowledge(id_, at)
    here.stored.append(Stored(id_, f"c{number}", "ada", "ben", f"Ahoy {number}", False))
    here.log.setdefault(BENS, []).append(Logged(seq, "chat_message", id_))
    [ben] = here.devices
    ben.arrivals.append(Arrival(BENS, seq, at))
    ben.parts[BENS][0].events.append(Applied(seq, "chat_message", id_, f"c{number}", at))


def ids(here: Journal) -> set[str]:
    """Return the ids of what is stored."""
    return {one.id for one in here.stored}


def events(here: Journal) -> list[Applied]:
    """Return what Ben applied."""
    return here.devices[0].parts[BENS][0].events


# Each makes something wrong: what, by which invariant it has to be found, and as what.


def acknowledged_and_gone(here: Journal) -> None:
    here.attempts["gone"] = Attempt("gone", "ada", "ben", {"Gone"}, 1, "ok", {"m9"})


def stored_twice(here: Journal) -> None:
    here.stored.append(replace(here.stored[0], id="m9"))


def acknowledged_by_two_ids(here: Journal) -> None:
    here.attempts["c1"].ids.add("m9")


def stored_by_nobody(here: Journal) -> None:
    here.stored.append(Stored("m9", "c9", "ada", "ben", "Boo", False))


def stored_with_other_words(here: Journal) -> None:
    here.stored[0] = replace(here.stored[0], content="Boo")


def stored_for_another_receiver(here: Journal) -> None:
    here.stored[0] = replace(here.stored[0], to="cleo")


def refused_and_stored(here: Journal) -> None:
    here.stored.append(Stored("m9", "no", "ada", "nobody", "No", False))


def refused_and_received(here: Journal) -> None:
    events(here).append(Applied(8, "chat_message", "m9", "no", 9.0))


def received_and_not_stored(here: Journal) -> None:
    events(here).append(Applied(8, "chat_message", "m9", "rolled back", 9.0))


def never_received(here: Journal) -> None:
    events(here).pop(1)


def last_one_never_received(here: Journal) -> None:
    events(here).pop()


def group_message_never_received(here: Journal) -> None:
    here.stored.append(Stored("g1", "c9", "ada", "crew", "Crew!", False))


def received_twice(here: Journal) -> None:
    events(here).append(replace(events(here)[0], seq=8))


def applied_with_a_hole(here: Journal) -> None:
    events(here).append(Applied(9, "read_receipt", "", "", 9.0))


def applied_in_another_order(here: Journal) -> None:
    events(here)[0], events(here)[1] = events(here)[1], events(here)[0]


def logged_and_not_received(here: Journal) -> None:
    here.log[BENS].append(Logged(8, "read_receipt", ""))


def received_as_something_else(here: Journal) -> None:
    here.log[BENS][0] = Logged(5, "chat_message", "m9")


def received_and_not_logged(here: Journal) -> None:
    here.log[BENS].pop()


def reset_without_a_reason(here: Journal) -> None:
    here.devices[0].parts[BENS].append(Part(7))


def sent_with_a_hole(here: Journal) -> None:
    here.devices[0].arrivals.append(Arrival(BENS, 9, 9.0))


def sent_after_the_revocation(here: Journal) -> None:
    here.revoked_at["Ben's phone", CREW] = 5.0
    here.devices[0].arrivals += [Arrival(CREW, None, 0.0), Arrival(CREW, 1, 6.1)]


def not_shown(here: Journal) -> None:
    here.shown["ben"].pop()


def shown_although_it_is_deleted(here: Journal) -> None:
    here.stored[0] = replace(here.stored[0], deleted=True)


def counted_wrong(here: Journal) -> None:
    here.unread["ben"] = (COUNT + 1, COUNT)


Finds = Callable[[Journal], Iterator[Violation]]
FAULTS: list[tuple[Callable[[Journal], None], Finds, str]] = [
    (acknowledged_and_gone, invariants.acknowledged_is_stored_once, "lost"),
    (stored_twice, invariants.acknowledged_is_stored_once, "duplicated"),
    (acknowledged_by_two_ids, invariants.acknowledged_is_stored_once, "wrong"),
    (stored_by_nobody, invariants.stored_was_attempted, "wrong"),
    (stored_with_other_words, invariants.stored_was_attempted, "wrong"),
    (stored_for_another_receiver, invariants.stored_was_attempted, "wrong"),
    (refused_and_stored, invariants.refused_never_appears, "wrong"),
    (refused_and_received, invariants.refused_never_appears, "wrong"),
    (received_and_not_stored, invariants.applied_is_stored, "wrong"),
    (never_received, invariants.recipients_have_each_once, "lost"),
    (last_one_never_received, invariants.recipients_have_each_once, "lost"),
    (group_message_never_received, invariants.recipients_have_each_once, "lost"),
    (received_twice, invariants.recipients_have_each_once, "duplicated"),
    (applied_with_a_hole, invariants.applied_in_order, "lost"),
    (applied_in_another_order, invariants.applied_in_order, "out of order"),
    (logged_and_not_received, invariants.applied_equals_log, "lost"),
    (received_as_something_else, invariants.applied_equals_log, "wrong"),
    (received_and_not_logged, invariants.applied_equals_log, "wrong"),
    (reset_without_a_reason, invariants.nobody_was_reset, "lost"),
    (sent_with_a_hole, invariants.server_leaves_no_hole, "out of order"),
    (sent_after_the_revocation, invariants.revoked_receives_nothing, "wrong"),
    (not_shown, invariants.api_shows_what_is_stored, "lost"),
    (shown_although_it_is_deleted, invariants.api_shows_what_is_stored, "wrong"),
    (counted_wrong, invariants.unread_is_the_recount, "wrong"),
]


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert violations(journal()) == []


@pytest.mark.parametrize(("fault", "finds", "kind"), FAULTS)
def test_a_fault_is_found(fault: Callable[[Journal], None], finds: Finds, kind: str) -> None:
    here = journal()
    fault(here)
    assert kind in {found.kind for found in finds(here)}


def test_every_invariant_can_fail() -> None:
    assert {finds for _, finds, _ in FAULTS} == {*INVARIANTS}


def test_what_is_too_late_is_found() -> None:
    assert [found.kind for found in within("ready", 31, 30)] == ["slow"]
    assert list(within("ready", 29, 30)) == []


def test_what_a_restore_took_away_is_not_lost() -> None:
    here = journal()
    acknowledged_and_gone(here)
    here.taken_away.add("gone")
    assert violations(here) == []


def test_a_client_that_may_be_reset_has_what_it_fetched() -> None:
    here = journal()
    here.may_reset = True
    missed = events(here).pop()
    here.devices[0].parts[BENS].append(Part(missed.seq))
    assert [found.kind for found in violations(here)] == ["lost"]
    here.devices[0].fetched.add(missed.subject)
    assert violations(here) == []


def test_an_event_that_came_late_counts_as_repaired() -> None:
    here = journal()
    events(here)[-1] = replace(events(here)[-1], at=COUNT + 2.5)
    assert here.repairs() == [2.5]
