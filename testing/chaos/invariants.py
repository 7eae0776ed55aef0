"""What must hold after every fault, as pure functions over a journal. Each yields what is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from testing.chaos.journal import Attempt, DeviceJournal, Journal, Stored

Kind = Literal["lost", "duplicated", "out of order", "wrong", "slow"]

READY_SECONDS = 30.0
EQUAL_SECONDS = 10.0
REVOKED_SECONDS = 1.0


@dataclass(frozen=True)
class Violation:
    """What is wrong, and what kind of wrong it is."""

    kind: Kind
    text: str


def acknowledged_is_stored_once(journal: Journal) -> Iterator[Violation]:
    """What the server acknowledged is stored once, under that id, with words that were sent."""
    by_client_id: dict[str, list[Stored]] = {}
    for one in journal.stored:
        by_client_id.setdefault(one.client_id, []).append(one)
    for attempt in journal.attempts.values():
        found = by_client_id.get(attempt.client_id, [])
        if len(found) > 1:
            yield Violation("duplicated", f"{attempt.client_id} is stored {len(found)} times")
        if attempt.outcome != "ok" or attempt.client_id in journal.taken_away:
            continue
        if not found:
            yield Violation("lost", f"{attempt.client_id} was acknowledged and is not stored")
        elif attempt.ids != {found[0].id}:
            yield Violation("wrong", f"{attempt.client_id} was acknowledged as {attempt.ids}")


def stored_was_attempted(journal: Journal) -> Iterator[Violation]:
    """Nothing is stored that nobody sent, or with other words, or to somebody else."""
    for one in journal.stored:
        attempt = journal.attempts.get(one.client_id)
        if attempt is None:
            yield Violation("wrong", f"nobody sent {one.client_id or one.id}, which is stored")
        elif not _is_as_sent(attempt, one):
            yield Violation("wrong", f"{one.client_id} is stored as {one}")


def _is_as_sent(attempt: Attempt, one: Stored) -> bool:
    same_words = one.deleted or one.content in attempt.contents
    return same_words and (attempt.sender, attempt.to) == (one.sender, one.to)


def refused_never_appears(journal: Journal) -> Iterator[Violation]:
    """What was refused is neither stored nor delivered."""
    refused = {one.client_id for one in journal.attempts.values() if one.outcome == "refused"}
    for client_id in refused & {one.client_id for one in journal.stored}:
        yield Violation("wrong", f"{client_id} was refused and is stored")
    for device, client_id in _applied_client_ids(journal):
        if client_id in refused:
            yield Violation("wrong", f"{client_id} was refused, and {device} received it")


def applied_is_stored(journal: Journal) -> Iterator[Violation]:
    """No client was sent a message that is not stored."""
    stored = {one.client_id for one in journal.stored}
    for device, client_id in _applied_client_ids(journal):
        if client_id and client_id not in stored | journal.taken_away:
            yield Violation("wrong", f"{device} received {client_id}, which is not stored")


def _applied_client_ids(journal: Journal) -> Iterator[tuple[str, str]]:
    for device in journal.devices:
        for parts in device.parts.values():
            for part in parts:
                for event in part.events:
                    yield device.name, event.client_id


def recipients_have_each_once(journal: Journal) -> Iterator[Violation]:
    """Each device of each recipient has each stored message, and applied it once."""
    for device in journal.devices:
        known = device.known()
        for one in journal.stored:
            if device.user in _recipients(one, journal) and one.id not in known:
                yield Violation("lost", f"{device.name} never received {one.client_id}")
        if journal.may_reset:
            continue
        yield from (
            Violation("duplicated", f"{device.name} applied {kind} {subject} {times} times")
            for (kind, subject), times in _times_applied(device).items()
            if times > 1 and subject and kind in MESSAGES
        )


MESSAGES = {"chat_message", "chat_message_sent", "post_published", "notification"}


def _recipients(one: Stored, journal: Journal) -> set[str]:
    if one.to == "feed":
        return {device.user for device in journal.devices}
    return journal.members.get(one.to, {one.sender, one.to})


def _times_applied(device: DeviceJournal) -> Counter[tuple[str, str]]:
    return Counter(
        (event.type, event.subject)
        for parts in device.parts.values()
        for part in parts
        for event in part.events
    )


def applied_in_order(journal: Journal) -> Iterator[Violation]:
    """Each client applied the numbers of each stream one after the other, without a hole."""
    for device in journal.devices:
        for stream, parts in device.parts.items():
            for part in parts:
                last = part.after
                for event in part.events:
                    if event.seq != last + 1:
                        kind: Kind = "lost" if event.seq > last else "out of order"
                        what = f"{event.seq} after {last}"
                        yield Violation(kind, f"{device.name} applied {stream} {what}")
                    last = event.seq


def applied_equals_log(journal: Journal) -> Iterator[Violation]:
    """What each client applied of a stream is what the log has, up to its head."""
    for device in journal.devices:
        for stream, parts in device.parts.items():
            if (device.name, stream) in journal.revoked_at:
                continue
            part = parts[-1]
            logged = [one for one in journal.log.get(stream, []) if one.seq > part.after]
            applied = {event.seq: (event.type, event.subject) for event in part.events}
            for one in logged:
                if one.seq not in applied:
                    # Of what was pruned before it came back, the log says nothing.
                    what = f"{stream} {one.seq}"
                    yield Violation("lost", f"{device.name} never received {what}")
                elif applied[one.seq] != (one.type, one.subject):
                    what = f"{applied[one.seq]} as {stream} {one.seq}"
                    yield Violation("wrong", f"{device.name} received {what}, not {one}")
            beyond = {seq for seq in applied if seq > (logged[-1].seq if logged else part.after)}
            if beyond and not journal.may_reset:
                text = f"{device.name} received {stream} {beyond}, which the log does not have"
                yield Violation("wrong", text)


def nobody_was_reset(journal: Journal) -> Iterator[Violation]:
    """No client was told to fetch everything again although the log has all events."""
    for device in journal.devices if not journal.may_reset else ():
        for stream, parts in device.parts.items():
            if len(parts) > 1:
                yield Violation("lost", f"{device.name} was reset on {stream} without a reason")


def server_leaves_no_hole(journal: Journal) -> Iterator[Violation]:
    """The server sent the events of each subscription one after the other, before the client
    repaired anything."""
    for device in journal.devices:
        last: dict[str, int | None] = {}
        for arrival in device.arrivals:
            before = last.get(arrival.stream)
            if arrival.seq is not None and before is not None and arrival.seq != before + 1:
                what = f"{arrival.stream} {arrival.seq} after {before}"
                yield Violation("out of order", f"The server sent {device.name} {what}")
            last[arrival.stream] = arrival.seq


def revoked_receives_nothing(journal: Journal) -> Iterator[Violation]:
    """A device receives nothing of a stream a second after its user lost the right to read it."""
    for device in journal.devices:
        for arrival in device.arrivals:
            revoked_at = journal.revoked_at.get((device.name, arrival.stream))
            if arrival.seq is None or revoked_at is None:
                continue
            if (late := arrival.at - revoked_at) > REVOKED_SECONDS:
                what = f"{arrival.stream} {arrival.seq}, {late:.1f} s after the revocation"
                yield Violation("wrong", f"{device.name} received {what}")


def api_shows_what_is_stored(journal: Journal) -> Iterator[Violation]:
    """The API shows each user their direct messages, and no others."""
    direct = [one for one in journal.stored if one.to != "feed" and one.to not in journal.members]
    for user, shown in journal.shown.items():
        stored = {one.id for one in direct if user in (one.sender, one.to) and not one.deleted}
        if missing := stored - shown:
            yield Violation("lost", f"The API does not show {user} {len(missing)} messages")
        if extra := shown - stored:
            yield Violation("wrong", f"The API shows {user} {len(extra)} other messages")


def unread_is_the_recount(journal: Journal) -> Iterator[Violation]:
    """The number of unread messages that the API reports is what a recount finds."""
    for user, (reported, recounted) in journal.unread.items():
        if reported != recounted:
            text = f"{user} has {recounted} unread messages, and the API reports {reported}"
            yield Violation("wrong", text)


def within(what: str, seconds: float, most: float) -> Iterator[Violation]:
    """Something took no longer than it may."""
    if seconds > most:
        yield Violation("slow", f"{what} after {seconds:.1f} s, not within {most:.0f} s")


INVARIANTS: tuple[Callable[[Journal], Iterator[Violation]], ...] = (
    acknowledged_is_stored_once,
    stored_was_attempted,
    refused_never_appears,
    applied_is_stored,
    recipients_have_each_once,
    applied_in_order,
    applied_equals_log,
    nobody_was_reset,
    server_leaves_no_hole,
    revoked_receives_nothing,
    api_shows_what_is_stored,
    unread_is_the_recount,
)


def violations(journal: Journal) -> list[Violation]:
    """Return all that is wrong with a journal."""
    return [found for invariant in INVARIANTS for found in invariant(journal)]
