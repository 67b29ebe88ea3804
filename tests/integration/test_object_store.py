"""Attachments in an object store, over the protocol of S3: put in parts, handed out, missed, and while it is away."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from temporalio.client import Client

from service.attachments.store import PART_BYTES
from storage.database import Database
from tests.api_desk import ApiDesk, working_desk
from tests.approvals import EXPENSE
from tests.integration.test_api_attachments import PDF, upload
from tests.object_store import BUCKET, ObjectStore
from tests.pages import browser_of
from tests.ports import free_port

LARGE = PDF + bytes(PART_BYTES + 1000)  # of two parts


@pytest_asyncio.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ObjectStore]:
    opened = ObjectStore(free_port())
    await opened.start()
    for name, value in opened.environment.items():
        monkeypatch.setenv(name, value)
    yield opened
    opened.stop()


@pytest_asyncio.fixture
async def desk(sqlite_url: str, client: Client, store: ObjectStore) -> AsyncIterator[ApiDesk]:
    database, place = Database(sqlite_url), f"s3://{BUCKET}/placet"
    async with working_desk(database, client, attachments=place, attachment_bytes=20_000_000) as opened:
        yield opened
    await database.close()


async def test_a_file_in_an_object_store_is_put_in_parts_handed_out_and_missed(
    desk: ApiDesk, store: ObjectStore
) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    for content in (LARGE, PDF):
        answer = await upload(desk, request, content)
        assert answer.status_code == 201, answer.text
        assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    keys = [f"placet/{request['id']}/{hashlib.sha256(content).hexdigest()}" for content in (LARGE, PDF)]
    assert sorted(await store.keys()) == sorted(keys)
    assert await store.content(keys[0]) == LARGE

    address = f"/workflow/requests/{request['id']}"
    found = await desk.get(f"{address}/attachments/1/", as_="bob")
    assert (found.status_code, found.content) == (200, LARGE)
    assert found.headers["content-length"] == str(len(LARGE))
    verified = f"{address}/audit/verify/"
    assert (await desk.get(verified, as_="ann")).json()["ok"] is True

    await store.delete(keys[1])
    missed = (await desk.get(verified, as_="ann")).json()
    assert (missed["ok"], missed["differs"]) == (False, ["attachments/2"])
    gone = await desk.get(f"{address}/attachments/2/", as_="ann")
    assert gone.status_code == 404
    assert "missing in the store" in gone.json()["detail"]
    shown = (await (await browser_of(desk, "ann")).get(f"/requests/{request['id']}")).text
    assert shown.count("This file is missing in the store. Tell an admin.") == 1

    store.stop()  # it is away: nothing is said to be missing, and nobody waits for long
    page = await (await browser_of(desk, "ann")).get(f"/requests/{request['id']}")
    assert page.status_code == 200
    assert "This file is missing" not in page.text
    refused = await upload(desk, request, PDF + b"%")
    assert refused.status_code == 503, refused.text
    assert int(refused.headers["retry-after"]) > 0
    assert (await replace(desk, insistent=False).get(f"{address}/attachments/1/", as_="bob")).status_code == 503
    after = (await desk.get(f"{address}/", as_="ann")).json()
    assert after["revision"] == 3, "a file that is not in the store is not on record"
