"""The forms of requests: they ask for what only the requester knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of
from tests.unit.core import blueprint, graph

STEP = {"stage_name": "Board", "approvers": ["user:bob"]}
VARIABLES = [
    {"name": "amount", "type": "decimal", "required": True, "minimum": 0},
    {"name": "doubled", "type": "decimal"},
    {"name": "reason", "type": "string"},
]
COUNTED: dict[str, Any] = {"type": "wait", "event": "counted", "output": {"doubled": "total"}}
PROCESS = blueprint(
    STEP,
    variables=VARIABLES,
    graph_spec=graph(
        "start -> counted",
        "counted -> board",
        "board -> approved on approved",
        "board -> rejected on rejected",
        nodes={"counted": COUNTED, "board": {"step": "Board"}},
    ),
)


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


async def form_of(desk: ApiDesk, **changes: Any) -> str:
    """Publish the process with these changes, and return the form of a new request."""
    name = await desk.publish(PROCESS, owner="user:desi", **changes)
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    template = next(one["id"] for one in listed if one["name"] == name)
    return (await (await browser_of(desk, "ann")).get(f"/requests/new/{template}")).text


async def test_the_form_of_a_new_request_leaves_out_what_the_process_sets(desk: ApiDesk) -> None:
    page = await form_of(desk)
    assert 'name="input.amount"' in page
    assert 'name="input.reason"' in page
    assert "doubled" not in page


async def test_the_form_of_a_new_request_says_which_files_may_follow(desk: ApiDesk) -> None:
    attachments = {"max_files": 3, "max_bytes": 2_000_000, "types": ["application/pdf", "image/*"]}
    page = await form_of(desk, settings={"attachments": attachments})
    assert "3 more files, of 2 MB each at most. Taken are: PDF, images." in page
    assert "more files" not in await form_of(desk, settings={"attachments": {"max_files": 0}})
