"""Events and messages over HTTP, for a client that can open no websocket."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from parley_client.errors import ConnectionLost, NotFound, Refused
from parley_client.inbox import Inbox
from parley_client.log import note
from parley_client.pending import Message, Pending
from parley_client.rest import Rest
from parley_client.tasks import until_first_ends
from parley_client.timing import Timing

# For how many streams the server lets one request ask.
STREAMS_AT_ONCE = 20
# When to ask again after an answer that came early and without an event.
EARLY_SECONDS = 1.0


class Polling:
    """Long-polls every stream that the client knows, and sends messages one after the other."""

    def __init__(
        self, rest: Rest, inbox: Inbox, pending: Pending, work: asyncio.Event, timing: Timing
    ) -> None:
        self._rest = rest
        self._inbox = inbox
        self._pending = pending
        self._work = work
        self._timing = timing
        self._user_known = False

    async def run(self) -> None:
        """Serve the application until a stream may not be read any more; raise ConnectionLost when
        the server does not answer."""
        try:
            if not self._user_known:
                await self._want_stream_of_user()
            streams = self._inbox.streams
            names = sorted(streams.names)
            note("polling", streams={name: streams.last(name) for name in names})
            polls = [self._poll(some) for some in _parts(names)]
            await until_first_ends(self._send(), *polls)
        except Refused as refused:
            if not refused.transient:
                raise
            raise ConnectionLost(str(refused), retry_after=refused.retry_after) from refused
        finally:
            self._pending.connection_lost()
            self._inbox.streams.disconnected()

    async def _want_stream_of_user(self) -> None:
        """Know the stream to which a websocket would be subscribed from the start."""
        profile = await self._rest.call("GET", "/auth/profile")
        self._inbox.streams.want(f"user.{profile['data']['id']}")
        self._user_known = True

    async def _poll(self, names: Sequence[str]) -> None:
        """Receive the events of some streams, until one of them may not be read any more."""
        try:
            # One request has a number for each of its streams, or for none.
            new = [name for name in names if not self._inbox.streams.resume_point(name)]
            for some in (new, [name for name in names if name not in new]):
                if some:
                    await self._get(some)
            while True:
                await self._inbox.room()
                await self._wait_for_events(names)
        except NotFound:
            # The server does not say which of them.
            for name in names:
                await self._try(name)

    async def _wait_for_events(self, names: Sequence[str]) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        before = [self._inbox.streams.last(name) for name in names]
        await self._get(names, self._timing.polling)
        nothing = before == [self._inbox.streams.last(name) for name in names]
        if nothing and clock() - began < self._timing.polling / 2:
            # The server stops, or has no room for one more request that waits.
            await asyncio.sleep(EARLY_SECONDS)

    async def _try(self, name: str) -> None:
        try:
            await self._get([name])
        except NotFound as refused:
            self._inbox.unsubscribed(name, {"code": refused.code, "message": refused.message})

    async def _get(self, names: Sequence[str], seconds: int = 0) -> None:
        """Get what is missing of streams which all have a number, or all have none. If nothing is,
        wait for so many seconds."""
        points = [self._inbox.streams.resume_point(name) for name in names]
        params: dict[str, Any] = {"stream": ",".join(names)}
        for key in points[0]:
            params[key] = ",".join(str(point[key]) for point in points)
        if seconds:
            params["wait"] = seconds
        most = seconds + self._timing.opening
        body = await self._rest.call("GET", "/events", params=params, seconds=most)
        try:
            # One stream comes by itself.
            for found in body["data"].get("streams", [body["data"]]):
                self._take(found, resumed="after" in params)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConnectionLost(f"An answer is malformed: {error!r}") from error

    def _take(self, found: Mapping[str, Any], *, resumed: bool) -> None:
        if resumed and not found["recovered"]:
            self._inbox.reset(found, asked=True)
            return
        self._inbox.subscribed(found, asked=True)
        for event in found["events"]:
            self._inbox.take(event["stream"], event["seq"], event["type"], event["data"])

    async def _send(self) -> None:
        while True:
            self._work.clear()
            while (draft := self._pending.next()) is not None:
                await self._post(draft.client_id, draft.entry)
            await self._work.wait()

    async def _post(self, client_id: str, entry: Mapping[str, Any]) -> None:
        try:
            body = await self._rest.call("POST", "/messages", json=entry)
        except Refused as refused:
            if not self._pending.refused(client_id, refused):
                # Those behind it wait, so that they stay in their order.
                await asyncio.sleep(refused.retry_after or self._timing.backoff.delay(1))
                self._pending.again(client_id)
        else:
            self._pending.acknowledged(client_id, Message.read(body["data"]))


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + STREAMS_AT_ONCE] for at in range(0, len(names), STREAMS_AT_ONCE)]
