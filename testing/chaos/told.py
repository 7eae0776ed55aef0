"""What must hold of what jobs do: notifications leave by each channel, and a periodic job runs.
Pure functions over a journal, as those of invariants.py."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from testing.chaos.invariants import Kind, Violation
from testing.chaos.journal import Journal, Told

# The channels that lead out of the system, to sinks.
OUTSIDE = {"email", "push"}
SENT = "sent"


def followers_are_told_once(journal: Journal) -> Iterator[Violation]:
    """Each follower is told once of each post, and nobody else is told."""
    due = {
        (user, one.client_id)
        for one in journal.stored
        if (one.sender, one.to) == (journal.author, "feed")
        for user in journal.wanted
    }
    found = Counter((one.user, one.client_id) for one in journal.told)
    for user, client_id in due - found.keys():
        yield Violation("lost", f"{user} was never told of {client_id}")
    for user, client_id in found.keys() - due:
        yield Violation("wrong", f"{user} was told of {client_id}, and must not be")
    for (user, client_id), times in found.items():
        if times > 1:
            yield Violation("duplicated", f"{user} was told of {client_id} {times} times")


def channels_are_as_wanted(journal: Journal) -> Iterator[Violation]:
    """What a follower wants by a channel arrives by it, and nothing else does."""
    due = {
        (channel, one.client_id, journal.addresses[one.user])
        for one in journal.told
        for channel in journal.wanted.get(one.user, frozenset()) & OUTSIDE
    }
    arrived = {(one.channel, one.client_id, one.address) for one in journal.arrived}
    for channel, client_id, address in due - arrived:
        yield Violation("lost", f"{address} did not get {client_id} by {channel}")
    for channel, client_id, address in arrived - due:
        yield Violation("wrong", f"{address} got {client_id} by {channel}, and must not")


def repeats_have_one_id(journal: Journal) -> Iterator[Violation]:
    """What arrives again has the id that it had, and no two things have the same."""
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    things: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in journal.arrived:
        ids[one.channel, one.address, one.client_id].add(one.message_id)
        things[one.channel, one.address, one.message_id].add(one.client_id)
    for (channel, address, client_id), found in ids.items():
        if len(found) > 1:
            yield Violation("duplicated", f"{address} got {client_id} by {channel} as {found}")
    for (channel, address, message_id), found in things.items():
        if len(found) > 1:
            yield Violation("wrong", f"{message_id} to {address} by {channel} is {found}")


def decisions_are_true(journal: Journal) -> Iterator[Violation]:
    """Of each notification that arrived by a channel the API says that it was sent, and of no other
    one; nothing is pending."""
    arrived = {(one.channel, one.client_id, one.address) for one in journal.arrived}
    applied = {
        (event.type, event.subject)
        for device in journal.devices
        for parts in device.parts.values()
        for part in parts
        for event in part.events
    }
    for one in journal.told:
        for channel, decision in one.decisions.items():
            if channel in OUTSIDE:
                came = (channel, one.client_id, journal.addresses[one.user]) in arrived
            else:
                came = ("notification", one.id) in applied
            if decision == "pending" or came is not (decision == SENT):
                what = "came" if came else "did not come"
                yield Violation("wrong", f"{_name(one)} {what} by {channel}: {decision}")


def each_channel_is_decided(journal: Journal) -> Iterator[Violation]:
    """Each notification has a decision for each channel, which is what its recipient wants."""
    for one in journal.told:
        sent = {channel for channel, decision in one.decisions.items() if decision == SENT}
        if sent != journal.wanted.get(one.user, frozenset()):
            yield Violation("wrong", f"{_name(one)} was sent by {sorted(sent)}")


def api_lists_each_once(journal: Journal) -> Iterator[Violation]:
    """The API lists each notification to its recipient once."""
    for one in journal.told:
        times = journal.listed.get(one.user, []).count(one.id)
        if times != 1:
            kind: Kind = "duplicated" if times else "lost"
            yield Violation(kind, f"The API lists {_name(one)} {times} times")


def _name(one: Told) -> str:
    return f"the notification of {one.client_id} to {one.user}"


def each_slot_has_one_run(journal: Journal) -> Iterator[Violation]:
    """The periodic job ran once in each of its slots."""
    for slot in journal.slots:
        if not journal.runs[slot]:
            yield Violation("lost", f"The periodic job did not run in slot {slot}")
    for slot, times in journal.runs.items():
        if times > 1:
            yield Violation("duplicated", f"The periodic job ran {times} times in slot {slot}")


TOLD_INVARIANTS: tuple[Callable[[Journal], Iterator[Violation]], ...] = (
    followers_are_told_once,
    channels_are_as_wanted,
    repeats_have_one_id,
    decisions_are_true,
    each_channel_is_decided,
    api_lists_each_once,
    each_slot_has_one_run,
)


def told_violations(journal: Journal) -> list[Violation]:
    """Return all that is wrong with what left by jobs."""
    return [found for invariant in TOLD_INVARIANTS for found in invariant(journal)]
