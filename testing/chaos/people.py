"""The people of a repetition, and what they do: messages, posts, receipts, deletions."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from testing.chaos.client import Device, Refused, Unanswered, call
from testing.chaos.journal import Attempt, Journal
from testing.chaos.processes import Web
from testing.chaos.seed import NAMES

FEED = "feed"
# How often each of them does something, in seconds on average.
PAUSE_SECONDS = 0.12
RETRY_SECONDS = 0.3
Send = Callable[[Attempt, str], Awaitable[str]]


def never() -> bool:
    """Return that it is to be tried again."""
    return False


class Person:
    """One of the cast, with a device at home on each of the two processes."""

    def __init__(self, name: str, made: dict[str, str], webs: list[Web], **options: Any) -> None:
        self.name = name
        self.id = made["id"]
        rng: random.Random = options["rng"]
        self.devices = [
            Device(self.id, made["token"], f"{name}'s {what}", order, **options)
            for what, order in (("phone", webs), ("laptop", webs[::-1]))
        ]
        self.headers = self.devices[0].headers
        self.rng = rng
        # Messages to them that they may still read, and of theirs that they may still delete.
        self.to_read: list[tuple[str, str]] = []
        self.to_delete: list[str] = []

    @property
    def device(self) -> Device:
        """Return one of their devices."""
        return self.rng.choice(self.devices)


class Cast:
    """Ada, Ben, Cleo, Dora, Emil and Finn, and a group of all of them."""

    def __init__(
        self,
        made: list[dict[str, str]],
        webs: list[Web],
        journal: Journal,
        rng: random.Random,
        *,
        careless: bool,
    ) -> None:
        self.people = [
            Person(name, one, webs, rng=rng, careless=careless)
            for name, one in zip(NAMES, made, strict=True)
        ]
        self.webs = webs
        self.journal = journal
        self.rng = rng
        self.group = ""
        # Devices of others.
        self.guests: list[Device] = []
        self._refused_to = str(uuid4())
        journal.devices = [device.journal for device in self.devices]

    @property
    def devices(self) -> list[Device]:
        """Return the devices of all."""
        own = [device for person in self.people for device in person.devices]
        return own + self.guests

    async def come(self) -> None:
        """Make the group, and have all devices online."""
        owner, *others = self.people
        body = {"actorId": owner.id, "title": "Crew", "memberIds": [one.id for one in others]}
        self.group = (await call(self.webs[0], "POST", "/chaos/groups", {}, body))["id"]
        self.journal.members[self.group] = {one.id for one in self.people}
        for device in self.devices:
            device.wanted.add(f"conversation.{self.group}")
            device.come()
        await asyncio.gather(*(device.online() for device in self.devices))

    async def join(self, guests: list[Device]) -> None:
        """Have devices of others online, which are compared as those of the cast are."""
        self.guests += guests
        self.journal.devices += [device.journal for device in guests]
        for device in guests:
            device.come()
        await asyncio.gather(*(device.online() for device in guests))

    async def leave(self) -> None:
        """Have all devices offline."""
        await asyncio.gather(*(device.leave() for device in self.devices))

    # What they do.

    async def act(self, person: Person, give_up: Callable[[], bool]) -> None:
        """Have somebody do one thing, and try it again until it is answered."""
        choice = self.rng.random()
        if choice < 0.60:
            await self.send(person, self._other(person).id, give_up)
        elif choice < 0.80:
            await self.send(person, self.group, give_up)
        elif choice < 0.84:
            await self.send(person, FEED, give_up)
        elif choice < 0.87:
            await self.send(person, self._refused_to, give_up)
        elif choice < 0.96:
            await self._once(self._read(person))
        else:
            await self._once(self._delete(person))

    def attempt(self, person: Person, to: str, *words: str) -> Attempt:
        """Return something to send, with these words or those that it can be told by."""
        client_id = str(uuid4())
        contents = {*words} or {f"Ahoy, says {person.name}: {client_id}"}
        attempt = self.journal.attempts[client_id] = Attempt(client_id, person.id, to, contents)
        return attempt

    async def send(
        self, person: Person, to: str, give_up: Callable[[], bool] = never, *words: str
    ) -> Attempt:
        """Send a message or a post, try it again until it is answered, and return it."""
        attempt = self.attempt(person, to, *words)
        while not give_up():
            if await self._try(person, attempt, self._way(person, to)):
                break
        return attempt

    async def deliver(self, web: Web, person: Person, to: str) -> Attempt:
        """Send a direct message over HTTP by this process until it is answered, and return it."""
        attempt = self.attempt(person, to)

        async def by_this(attempt: Attempt, content: str) -> str:
            return await self.post_message(web, person, attempt, content)

        while not await self._try(person, attempt, by_this):
            pass
        return attempt

    async def remove(self, web: Web, owner: Person, member: Person) -> None:
        """Have the owner remove a member from the group."""
        body = {"actorId": owner.id, "conversationId": self.group, "userId": member.id}
        while True:
            try:
                await call(web, "POST", "/chaos/members", {}, body)
            except Unanswered:
                await asyncio.sleep(RETRY_SECONDS)
            except Refused:
                # An earlier try removed them.
                return
            else:
                return

    async def _try(self, person: Person, attempt: Attempt, send: Send) -> bool:
        """Try once, and return whether that was answered."""
        (content,) = attempt.contents
        attempt.tries += 1
        attempt.sent_at = time.monotonic()
        try:
            id_ = await send(attempt, content)
        except Unanswered:
            await asyncio.sleep(RETRY_SECONDS)
            return False
        except Refused:
            attempt.outcome = "refused"
        else:
            attempt.acknowledge(id_, time.monotonic())
            self._remember(person, attempt.to, id_)
        return True

    async def post_message(self, web: Web, person: Person, attempt: Attempt, content: str) -> str:
        """Send a direct message over HTTP and return its id; raise Refused or Unanswered."""
        body = {"receiverId": attempt.to, "content": content, "clientId": attempt.client_id}
        return str(
            (await call(web, "POST", "/api/v1/messages", person.headers, body))["data"]["id"]
        )

    def _way(self, person: Person, to: str) -> Send:
        """Return how something is sent: to a group or the feed over HTTP, to a user over HTTP or
        the websocket."""
        web = self.rng.choice(self.webs)

        async def by_socket(attempt: Attempt, content: str) -> str:
            data = {"receiverId": to, "content": content, "clientId": attempt.client_id}
            return str((await person.device.ask("chat_message", data))["message"]["id"])

        async def by_request(attempt: Attempt, content: str) -> str:
            return await self.post_message(web, person, attempt, content)

        async def to_group(attempt: Attempt, content: str) -> str:
            body = {
                "actorId": person.id,
                "conversationId": to,
                "content": content,
                "clientId": attempt.client_id,
            }
            return str((await call(web, "POST", "/chaos/messages", {}, body))["id"])

        async def to_feed(attempt: Attempt, content: str) -> str:
            headers = {**person.headers, "Idempotency-Key": attempt.client_id}
            body = {"title": attempt.client_id, "content": content, "status": "published"}
            return str((await call(web, "POST", "/api/v1/posts", headers, body))["data"]["id"])

        if to in (self.group, FEED):
            return to_group if to == self.group else to_feed
        return by_socket if self.rng.random() < 0.7 else by_request

    async def _read(self, person: Person) -> None:
        if person.to_read:
            sender, message = person.to_read.pop(0)
            data = {"senderId": sender, "messageIds": [message]}
            await person.device.ask("read_receipt", data)

    async def _delete(self, person: Person) -> None:
        if person.to_delete:
            message = person.to_delete.pop(0)
            web = self.rng.choice(self.webs)
            await call(web, "DELETE", f"/api/v1/messages/{message}", person.headers, None)

    async def _once(self, action: Awaitable[None]) -> None:
        """Try an action whose outcome the database tells in the end."""
        try:
            await action
        except Refused:
            pass
        except Unanswered:
            await asyncio.sleep(RETRY_SECONDS)

    def _remember(self, person: Person, to: str, id_: str) -> None:
        receiver = next((one for one in self.people if one.id == to), None)
        if receiver is None:
            return
        if self.rng.random() < 0.2:
            person.to_delete.append(id_)
        else:
            receiver.to_read.append((person.id, id_))

    def _other(self, person: Person) -> Person:
        return self.rng.choice([one for one in self.people if one is not person])
