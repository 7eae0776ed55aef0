"""Those who follow the author of a repetition, who want to be told by different channels."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from testing.chaos.client import Device, call, pages
from testing.chaos.journal import Told
from testing.chaos.people import Person
from testing.chaos.processes import Web
from testing.chaos.repetition import Repetition, patiently

EVERY = frozenset({"websocket", "email", "push"})
BY_SOCKET = frozenset({"websocket"})


@dataclass(frozen=True)
class Kind:
    """What a follower does about the channels, and by which they then are told: None for one who
    must not be told at all."""

    channels: frozenset[str] | None = EVERY
    preferences: Mapping[str, Any] = field(default_factory=dict)
    verified: bool = True
    subscribes: bool = True
    blocks: bool = False


# The kinds of ten followers.
KINDS = (
    Kind(),
    Kind(EVERY - {"email"}, {"emailEnabled": False}),
    Kind(EVERY - {"push"}, {"pushEnabled": False}),
    Kind(EVERY - {"websocket"}, {"websocketEnabled": False}),
    Kind(frozenset(), {"categories": {"posts": False}}),
    Kind(EVERY - {"email"}, {"emailCategories": {"posts": False}}),
    Kind(EVERY - {"email"}, verified=False),
    Kind(EVERY - {"push"}, subscribes=False),
    Kind(None, blocks=True),
    Kind(),
)


async def follow(here: Repetition, author: Person, people: list[dict[str, str]]) -> None:
    """Have people follow an author, ask for what they want, and be online."""
    kinds = [KINDS[number % len(KINDS)] for number in range(len(people))]
    verified = [one["id"] for one, kind in zip(people, kinds, strict=True) if kind.verified]
    here.cluster.query(
        "UPDATE accounts_user SET email_verified = id = ANY(%s::uuid[]) WHERE id = ANY(%s::uuid[])",
        verified,
        [one["id"] for one in people],
    )
    await asyncio.gather(*map(partial(_ask_all, here, author), people, kinds))
    here.journal.author = author.id
    here.journal.addresses = {one["id"]: one["email"] for one in people}
    here.journal.wanted = {
        one["id"]: kind.channels
        for one, kind in zip(people, kinds, strict=True)
        if kind.channels is not None
    }
    await here.cast.join(
        [
            Device(one["id"], one["token"], one["email"], here.rng.sample(here.webs, 2), here.rng)
            for one in people
        ]
    )


async def _ask_all(here: Repetition, author: Person, one: Mapping[str, str], kind: Kind) -> None:
    async def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        await patiently(call, here.one, method, f"/api/v1/{path}", headers, body)

    headers = {"Authorization": f"Bearer {one['token']}"}
    await ask("POST", f"users/{author.id}/follow")
    if kind.preferences:
        await ask("PUT", "notifications/preferences", kind.preferences)
    if kind.subscribes:
        subscription = here.cluster.pushes.subscription(one["email"])
        await ask("POST", "notifications/push-subscriptions", subscription)
    if kind.blocks:
        await ask("POST", f"users/{author.id}/block")


async def read_what_they_were_told(here: Repetition) -> None:
    """Read from the database, from the sinks and over the API what followers were told."""
    journal = here.journal
    journal.told = await asyncio.to_thread(told_by, here)
    addresses = {*journal.addresses.values()}
    sent = {one.client_id for one in journal.attempts.values()}
    arrived = [*here.cluster.mails.arrived, *here.cluster.pushes.arrived]
    journal.arrived = [one for one in arrived if one.address in addresses and one.client_id in sent]
    for device in here.cast.guests:
        listed = await patiently(_notification_ids, here.one, device.headers)
        journal.listed[device.journal.user] = listed


async def _notification_ids(web: Web, headers: Mapping[str, str]) -> list[str]:
    return [row["id"] async for row in pages(web, headers, "/api/v1/notifications")]


def told_by(here: Repetition) -> list[Told]:
    """Return the notifications of the posts of the author."""
    found = here.cluster.query(
        "SELECT n.id::text, recipient_id::text, n.data->>'title',"
        " jsonb_object_agg(channel, decision) FROM notifications_notification n"
        " JOIN notifications_delivery ON notification_id = n.id"
        " WHERE actor_id = %s::uuid AND n.type = 'new_post' GROUP BY n.id",
        here.journal.author,
    )
    return [Told(*row) for row in found]
