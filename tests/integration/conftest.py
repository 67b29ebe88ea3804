"""What the tests of the API share: the API in this process with a worker; a file may replace it by one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, warm_pool, working_desk
from tests.chats import slack

__all__ = ["desk", "slack", "warm_pool"]


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    """Give the API on an empty database and the engine, with a worker for its requests."""
    async with working_desk(database, client) as opened:
        yield opened
