"""What realtime brings to all tests."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.realtime import group_commit


@pytest.fixture
def closing_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit groups in threads that close their connections when they end."""
    monkeypatch.setattr(group_commit, "in_thread", in_closing_thread)


async def in_closing_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Return what the work returns, run in a thread that then closes its connections."""

    def run() -> Any:
        try:
            return work(*args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)
