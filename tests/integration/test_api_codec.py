"""The codec server of the Temporal Web UI: who may have payloads decoded, from which pages, and what of them."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, context_of
from worker.converter import converter_with
from worker.key_ring import KeyRing, add_key
from worker.payload_codec import EncryptingCodec

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PATH = "/codec/decode"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"title":"Zanzibar"}')


def codec(folder: Path, name: str) -> EncryptingCodec:
    add_key(folder / name, NOW)
    return EncryptingCodec(KeyRing(folder / name))


@pytest_asyncio.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    known = codec(tmp_path, "known.keys")
    client = await Client.connect("127.0.0.1:9", lazy=True, data_converter=converter_with(known))
    async with api_desk(database, client, seconds=1) as opened:
        yield opened


async def encrypted(using: EncryptingCodec | ApiDesk) -> Payload:
    if isinstance(using, ApiDesk):
        found = context_of(using).client.data_converter.payload_codec
        assert isinstance(found, EncryptingCodec)
        using = found
    return (await using.encode([PLAIN]))[0]


def document(*payloads: Payload) -> dict[str, Any]:
    return {
        "payloads": [
            {
                "metadata": {name: b64encode(value).decode() for name, value in each.metadata.items()},
                "data": b64encode(each.data).decode(),
            }
            for each in payloads
        ]
    }


async def test_who_sees_every_request_sees_payloads_and_nobody_else(desk: ApiDesk) -> None:
    sent = document(await encrypted(desk))
    for person, status in (("audrey", 200), ("adam", 200), ("ann", 403), ("desi", 403)):
        assert (await desk.post(PATH, sent, as_=person)).status_code == status, person
    shown = (await desk.post(f"{PATH}?preserveStorageRefs=true", sent, as_="audrey")).json()  # as the Web UI asks
    assert shown["payloads"] == document(PLAIN)["payloads"]


async def test_what_is_not_encrypted_or_by_another_key_stays_as_it_is(desk: ApiDesk, tmp_path: Path) -> None:
    strange = await encrypted(codec(tmp_path, "strange.keys"))
    sent = document(PLAIN, strange, await encrypted(desk))
    shown = (await desk.post(PATH, sent, as_="audrey")).json()["payloads"]
    assert shown == document(PLAIN, strange, PLAIN)["payloads"]


async def test_pages_of_the_web_ui_may_call_it_and_those_of_other_origins_get_no_answer(desk: ApiDesk) -> None:
    own = context_of(desk).ui_url
    assert own is not None
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    url = f"/api/v1{PATH}"
    allowed = await desk.http.options(url, headers={"Origin": own, **asks})
    assert allowed.status_code == 200, allowed.text
    assert allowed.headers["access-control-allow-origin"] == own
    assert allowed.headers["access-control-allow-credentials"] == "true"
    refused = await desk.http.options(url, headers={"Origin": "https://evil.example", **asks})
    assert "access-control-allow-origin" not in refused.headers
    elsewhere = await desk.http.options("/api/v1/workflow/requests/", headers={"Origin": own, **asks})
    assert "access-control-allow-origin" not in elsewhere.headers


async def test_input_that_is_no_list_of_payloads_is_refused_with_its_place(desk: ApiDesk) -> None:
    answer = await desk.post(PATH, {"payloads": [{"metadata": {"encoding": "%"}, "data": ""}]}, as_="audrey")
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json()["errors"]] == ["/payloads/0/metadata/encoding"]
    many = {"payloads": [{"data": ""}] * 2001}
    assert (await desk.post(PATH, many, as_="audrey")).status_code == 422


async def test_a_repeat_stores_nothing(desk: ApiDesk) -> None:
    sent = document(await encrypted(desk))
    answers = await asyncio.gather(*(desk.post(PATH, sent, as_="audrey", key="same") for _ in range(2)))
    assert [b64decode(each.json()["payloads"][0]["data"]) for each in answers] == [PLAIN.data, PLAIN.data]
    assert not any("idempotent-replayed" in each.headers for each in answers)
