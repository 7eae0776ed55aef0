"""Server processes that were tampered with, by PARLEY_TAMPER: in a hurry, so that a test need not
wait for a heartbeat; or deliberately broken, to show that the fault tests catch it."""

import os
from pathlib import Path
from typing import Any

from django.apps import AppConfig


class TamperedConfig(AppConfig):
    """Changes one thing of a server process."""

    name = "apps.realtime.tests"
    label = "tampered"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        """Do what the environment names, by words with a comma between them."""
        for word in os.environ["PARLEY_TAMPER"].split(","):
            tamper(word)


def tamper(word: str) -> None:
    """Change one thing of this process."""
    from apps.realtime import feed, hub, log, presence_stores

    async def nothing(*_: Any) -> None:
        return

    def nothing_missed(*_: Any) -> log.Missed:
        return log.Missed([], complete=True)

    match word:
        case "hurried":
            hub.HEAL_SECONDS = 0.2  # type: ignore[assignment]
        case "short-lived":
            presence_stores.ALIVE_FOR = 3  # type: ignore[attr-defined]
        case "never-heals":
            hub.Hub._heal = nothing  # type: ignore[method-assign,assignment]
        case "never-reads":
            feed.events_after = nothing_missed  # type: ignore[attr-defined,assignment]
        case "never-sweeps":
            hub.Hub._sweep_sessions = nothing  # type: ignore[method-assign,assignment]
        case _:
            raise ValueError(word)
