"""Listen to announcements: one connection or pipe for each process, and those in it who wait for a topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL

from storage.announcements import pipes
from storage.announcements.announce import POSTGRESQL_CHANNEL, topics_of
from storage.database import CONNECT_SECONDS, Database

_log = logging.getLogger(__name__)

_AGAIN_SECONDS, _LONGEST_SECONDS = 0.1, 5.0  # between attempts to listen
# Notice within half a minute that the other end is gone without a word.
_KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class Subscriptions:
    """Those in this process who wait for announcements; for one event loop."""

    def __init__(self) -> None:
        self.connected = False
        """Whether announcements arrive here at the moment. Where not, who waits has to look often."""
        self._waiting: dict[str, list[asyncio.Event]] = {}

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when one of these topics is announced, or an announcement may have been missed.

        Subscribe before looking at what is waited for.
        """
        announced = asyncio.Event()
        for topic in topics:
            self._waiting.setdefault(topic, []).append(announced)
        try:
            yield announced
        finally:
            for topic in topics:
                waiting = self._waiting[topic]
                waiting.remove(announced)
                if not waiting:
                    del self._waiting[topic]

    def announced(self, topics: Iterable[str]) -> None:
        """Wake those who wait for one of these topics."""
        for topic in topics:
            for announced in self._waiting.get(topic, ()):
                announced.set()

    def wake_all(self) -> None:
        """Wake everyone: something may have been announced that did not arrive."""
        for waiting in self._waiting.values():
            for announced in waiting:
                announced.set()


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Subscriptions]:
    """Listen to what is announced in a database while the block runs, and listen again after every interruption."""
    subscriptions = Subscriptions()
    task = asyncio.create_task(_listen_always(database.url, subscriptions))
    try:
        yield subscriptions
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen_always(url: URL, subscriptions: Subscriptions) -> None:
    listen = _listen_to_postgresql if url.get_backend_name() == "postgresql" else _listen_to_pipe
    wait = _AGAIN_SECONDS
    while True:
        try:
            await listen(url, subscriptions)
        except (psycopg.Error, OSError) as error:
            if subscriptions.connected:
                wait = _AGAIN_SECONDS
            subscriptions.connected = False
            reason = str(error).strip().partition("\n")[0]
            _log.warning("announcements do not arrive and are looked for; trying again in %g s: %s", wait, reason)
        subscriptions.wake_all()
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_SECONDS)


async def _listen_to_postgresql(url: URL, subscriptions: Subscriptions) -> None:
    """Listen until the connection is lost; raises psycopg.Error then."""
    connecting = asyncio.ensure_future(asyncio.to_thread(_connect, url))
    try:
        connection = await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise
    server = connection.pgconn

    def arrived() -> None:
        server.consume_input()
        while (notification := server.notifies()) is not None:
            subscriptions.announced(topics_of(notification.extra))

    try:
        await _while_readable(server.socket, arrived, subscriptions)
    finally:
        connection.close()


def _connect(url: URL) -> psycopg.Connection:
    """Return a connection that listens."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(plain, autocommit=True, connect_timeout=CONNECT_SECONDS, **_KEEPALIVES)
    try:
        connection.execute(f"LISTEN {POSTGRESQL_CHANNEL}")
    except BaseException:
        connection.close()
        raise
    return connection


def _close(connecting: asyncio.Future[psycopg.Connection]) -> None:
    """Close a connection that nobody waited for."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


async def _listen_to_pipe(url: URL, subscriptions: Subscriptions) -> None:
    """Listen for as long as the process runs; raises OSError where there can be no pipe."""
    folder = pipes.folder_of(url)
    if folder is None:
        raise OSError("the database is no plain file")
    with pipes.open_pipe(folder) as descriptor:
        reader = pipes.PipeReader(descriptor)

        def arrived() -> None:
            for payload in reader.read():
                subscriptions.announced(topics_of(payload))

        await _while_readable(descriptor, arrived, subscriptions)


async def _while_readable(descriptor: int, arrived: Callable[[], None], subscriptions: Subscriptions) -> None:
    """Call `arrived` whenever there is something to read; raises what it raises."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        try:
            arrived()
        except Exception as error:
            loop.remove_reader(descriptor)
            if not lost.done():
                lost.set_exception(error)

    loop.add_reader(descriptor, readable)
    try:
        subscriptions.connected = True
        subscriptions.wake_all()  # what was announced before was not heard
        await lost
    finally:
        loop.remove_reader(descriptor)
