"""A consumer of a feature may use the groups of Channels, on both backends."""

import asyncio
from typing import Any

from channels.layers import get_channel_layer


def test_who_is_in_a_group_receives_what_is_sent_to_it() -> None:
    async def scenario() -> Any:
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("crew", channel)
        await layer.group_send("crew", {"type": "ahoy", "text": "Ahoy"})
        async with asyncio.timeout(10):
            received = await layer.receive(channel)
        await layer.group_discard("crew", channel)
        return received

    assert asyncio.run(scenario()) == {"type": "ahoy", "text": "Ahoy"}
