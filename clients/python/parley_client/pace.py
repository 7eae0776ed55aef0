"""How fast the client sends frames: slower than the server allows for one socket."""

import asyncio

# The server allows 20 a second and 60 at once, and counts pongs too.
FRAMES_PER_SECOND = 16.0
FRAMES_AT_ONCE = 40


class Pace:
    """Lets one frame go at a time, by the generic cell rate algorithm (ITU-T I.371)."""

    def __init__(self) -> None:
        self._due_at = 0.0

    async def turn(self) -> None:
        """Wait until one more frame may be sent."""
        now = asyncio.get_running_loop().time()
        burst = (FRAMES_AT_ONCE - 1) / FRAMES_PER_SECOND
        wait = self._due_at - burst - now
        self._due_at = max(self._due_at, now) + 1 / FRAMES_PER_SECOND
        if wait > 0:
            await asyncio.sleep(wait)
