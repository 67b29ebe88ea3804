"""The store of attachments: a folder, and object stores by their URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from placet.errors import NotFound, Unavailable
from service.attachments.store import FileStore


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("place", ["{folder}/files", "file://{folder}", "memory:///"])
async def test_a_file_is_kept_handed_out_and_deleted_wherever_the_store_is(place: str, tmp_path: Path) -> None:
    store = FileStore(place.format(folder=tmp_path))
    for _ in range(2):  # the same again changes nothing
        await store.put("r1", "a1", BytesIO(b"some bytes"))
    await store.put("r2", "a1", BytesIO(b"others"))
    assert await whole(await store.get("r1", "a1")) == b"some bytes"
    assert [await store.holds("r1", "a1", size) for size in (10, 11)] == [True, False]
    await store.delete("r1", "a1")
    await store.delete("r1", "a1")
    assert not await store.holds("r1", "a1", 10)
    with pytest.raises(NotFound, match="missing in the store"):
        await store.get("r1", "a1")
    assert await whole(await store.get("r2", "a1")) == b"others"


async def test_a_process_without_a_store_says_what_to_set() -> None:
    with pytest.raises(Unavailable, match="PLACET_ATTACHMENTS_URL"):
        await FileStore("").put("r1", "a1", BytesIO(b"x"))
