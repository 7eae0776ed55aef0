"""Drafts: each has one outcome, and is sent with one client id until then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_client.errors import NotFound, RateLimited, Refused, Stopped, Unauthorized
from parley_client.pending import Draft, Message, Pending


def entry(client_id: str = "c1") -> dict[str, str]:
    return {"receiverId": "bob", "content": "Ahoy", "clientId": client_id}


def message(client_id: str = "c1") -> Message:
    data: dict[str, Any] = {"conversationId": "7", "senderId": "alice", "receiverId": "bob"}
    data |= {"id": "m1", "seq": 1, "content": "Ahoy", "clientId": client_id, "createdAt": "today"}
    return Message.read(data)


def on_loop(scenario: Callable[[Pending], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Pending(asyncio.Event()))

    asyncio.run(run())


def sent(pending: Pending) -> Draft:
    pending.add(entry())
    draft = pending.next()
    assert draft is not None
    return draft


def test_an_acknowledgement_is_the_outcome() -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        pending.acknowledged("c1", message())
        pending.acknowledged("c1", message())
        assert (await draft.outcome).id == "m1"
        assert pending.next() is None

    on_loop(scenario)


def test_what_is_under_way_when_the_connection_breaks_is_sent_again_with_its_id() -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        assert pending.next() is None
        pending.connection_lost()
        assert pending.next() is draft
        assert (draft.client_id, draft.attempts, draft.doubtful) == ("c1", 2, True)

    on_loop(scenario)


def test_drafts_keep_their_order() -> None:
    async def scenario(pending: Pending) -> None:
        for client_id in "abc":
            pending.add(entry(client_id))
        pending.next()
        pending.connection_lost()
        assert [draft.client_id for draft in iter(pending.next, None)] == ["a", "b", "c"]

    on_loop(scenario)


@pytest.mark.parametrize("code", ["SERVICE_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_TIMEOUT"])
def test_a_refusal_that_passes_is_no_outcome(code: str) -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        assert not pending.refused("c1", Refused(code))
        assert pending.next() is None
        pending.again("c1")
        assert pending.next() is draft

    on_loop(scenario)


@pytest.mark.parametrize("refusal", [NotFound("NOT_FOUND"), RateLimited("RATE_LIMIT_EXCEEDED")])
def test_any_other_refusal_is_the_outcome(refusal: Refused) -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        assert pending.refused("c1", refusal)
        with pytest.raises(type(refusal)):
            await draft.outcome

    on_loop(scenario)


@pytest.mark.parametrize(
    "refusal", [RateLimited("RATE_LIMIT_EXCEEDED"), Unauthorized("UNAUTHORIZED")]
)
def test_a_refusal_that_does_not_say_what_became_of_an_earlier_attempt_is_no_outcome(
    refusal: Refused,
) -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        pending.connection_lost()
        pending.next()
        assert not pending.refused("c1", refusal)
        assert not draft.outcome.done()

    on_loop(scenario)


def test_the_end_of_the_client_is_the_outcome_of_what_is_left() -> None:
    async def scenario(pending: Pending) -> None:
        draft = sent(pending)
        pending.stop(lambda: Stopped("closed"))
        with pytest.raises(Stopped):
            await draft.outcome
        assert pending.outcomes() == {}

    on_loop(scenario)


class Network:
    """A server that stores each client id that it gets, and a connection that loses answers."""

    def __init__(self, pending: Pending) -> None:
        self.pending = pending
        self.stored: set[str] = set()
        self.under_way: list[str] = []

    def send(self) -> None:
        draft = self.pending.next()
        if draft is not None:
            self.stored.add(draft.client_id)
            self.under_way.append(draft.client_id)

    def acknowledge(self) -> None:
        if self.under_way:
            client_id = self.under_way.pop(0)
            self.pending.acknowledged(client_id, message(client_id))

    def refuse(self) -> None:
        if self.under_way:
            self.pending.refused(self.under_way.pop(0), Refused("SERVICE_UNAVAILABLE"))

    def lose(self) -> None:
        self.under_way.clear()
        self.pending.connection_lost()

    def again(self) -> None:
        for client_id in "abc":
            self.pending.again(client_id)


STEPS = ["send", "acknowledge", "refuse", "lose", "again"]


@given(st.lists(st.sampled_from(STEPS), min_size=5, max_size=30))
def test_no_draft_is_lost_and_none_has_two_outcomes(steps: list[str]) -> None:
    async def scenario(pending: Pending) -> None:
        network = Network(pending)
        drafts = [pending.add(entry(client_id)) for client_id in "abc"]
        for step in [*steps, "lose", *["send", "acknowledge"] * 3]:
            getattr(network, step)()
        assert network.stored == set("abc")
        assert [(await draft.outcome).client_id for draft in drafts] == ["a", "b", "c"]

    on_loop(scenario)
