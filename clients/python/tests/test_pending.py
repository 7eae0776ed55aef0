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
        pending.stop(Stopped("closed"))
        with pytest.raises(Stopped):
            await draft.outcome
        assert pending.outcomes() == {}

    on_loop(scenario)


STEPS = ["send", "acknowledge", "break", "refuse", "again"]


@given(st.lists(st.sampled_from(STEPS), max_size=30))
def test_no_draft_is_lost_and_none_has_two_outcomes(steps: list[str]) -> None:
    """The server stores each client id that it gets, and its answer may be lost."""
    stored: set[str] = set()
    under_way: list[str] = []

    def play(pending: Pending, step: str) -> None:
        if step == "send":
            draft = pending.next()
            if draft is not None:
                stored.add(draft.client_id)
                under_way.append(draft.client_id)
        elif step == "break":
            under_way.clear()
            pending.connection_lost()
        elif step == "again":
            for client_id in "abc":
                pending.again(client_id)
        elif under_way and step == "acknowledge":
            pending.acknowledged(under_way[0], message(under_way.pop(0)))
        elif under_way:
            pending.refused(under_way.pop(0), Refused("SERVICE_UNAVAILABLE"))

    async def scenario(pending: Pending) -> None:
        drafts = [pending.add(entry(client_id)) for client_id in "abc"]
        for step in [*steps, "break", *["send", "acknowledge"] * 3]:
            play(pending, step)
        assert stored == set("abc")
        assert [(await draft.outcome).client_id for draft in drafts] == ["a", "b", "c"]

    on_loop(scenario)
