"""Tasks of the event loop, as tests wait for them."""

import asyncio


async def settle() -> None:
    """Wait until all tasks are done but the caller's, those too that are begun meanwhile."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
