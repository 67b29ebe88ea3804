"""The proxy between two processes: it passes everything on, and does what a fault asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.links import Link, Links
from tests.waiting import until

NAME = "api>store"


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    links = Links()
    links.start()
    links[NAME].to(server.sockets[0].getsockname()[1])
    yield links[NAME]
    links.close()
    server.close()


async def _answers(link: Link) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"there?")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    except ConnectionError:
        return False
    return answer == b"there?"


async def test_bytes_go_through_and_a_cut_resets_and_refuses_until_it_is_healed(link: Link) -> None:
    await until(lambda: _answers(link), what="an answer through the proxy")
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    link.cut()
    with pytest.raises(ConnectionError):
        await reader.read(1)
    assert not await _answers(link)
    link.heal()
    await until(lambda: _answers(link), what="an answer after the cut")


async def test_a_connection_that_both_have_ended_is_kept_no_longer(link: Link) -> None:
    await until(lambda: _answers(link), what="an answer through the proxy")
    before = _open_files(link)
    assert all(await asyncio.gather(*(_answers(link) for _ in range(60))))

    async def closed() -> bool:
        return _open_files(link) <= before + 2

    await until(closed, what="the end of all connections")


def _open_files(link: Link) -> int:
    return len(list(Path(f"/proc/{link.proxy}/fd").iterdir()))


async def test_a_stall_holds_bytes_up_and_loses_none(link: Link) -> None:
    await until(lambda: _answers(link), what="an answer through the proxy")
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"first")
    assert await reader.readexactly(5) == b"first"
    link.stall()
    held = asyncio.create_task(_answers(link))
    await asyncio.wait({held}, timeout=0.3)
    assert not held.done()
    writer.write(b"second")
    link.heal()
    assert await reader.readexactly(6) == b"second"
    assert await held
    writer.close()


async def test_latency_is_added_to_each_direction(link: Link) -> None:
    await until(lambda: _answers(link), what="an answer through the proxy")
    link.slow(0.1)
    began = asyncio.get_running_loop().time()
    await until(lambda: _answers(link), what="a late answer")
    taken = asyncio.get_running_loop().time() - began
    link.heal()
    assert taken >= 0.2 or await _is_late(link), taken


async def _is_late(link: Link) -> bool:
    """Ask once more: the first answer may have been on its way before the proxy knew."""
    link.slow(0.1)
    await asyncio.sleep(0.2)
    began = asyncio.get_running_loop().time()
    assert await _answers(link)
    return asyncio.get_running_loop().time() - began >= 0.2
