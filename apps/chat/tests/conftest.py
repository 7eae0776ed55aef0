"""Fixtures of the tests of messages."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.realtime import group_commit


@pytest.fixture
def closing_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit groups in threads that close their connections when they end."""

    async def in_closing_thread(work: Callable[..., Any], *args: Any) -> Any:
        def run() -> Any:
            try:
                return work(*args)
            finally:
                connections.close_all()

        return await asyncio.to_thread(run)

    monkeypatch.setattr(group_commit, "in_thread", in_closing_thread)
