"""A message whose rows were missed is deleted, unless they are there again by the time it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select
from sqlmodel import col

from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import ChannelRoute
from storage.recording import outbox
from storage.recording.outbox import Confirmation
from storage.tables.approvals import Outbox
from storage.tables.notifications import NotificationMessage
from tests.integration.recordings import Story
from tests.integration.recordings import write as write_recording
from tests.stored import writing

NOW = datetime.now(UTC)


def keys(connection: Connection) -> list[str]:
    return list(connection.scalars(select(col(NotificationMessage.key))))


async def test_a_message_whose_rows_came_back_stays(database: Database) -> None:
    told = Story(request_id="r").open("mo").recording()
    with writing(database) as session:
        connection = session.connection()
        write_recording(session, told, NOW)
        outbox.confirm_all(connection, [Confirmation(request_id="r", seq=told.seq, head=told.head)])
        rows = delivery_queue.plannable(connection, NOW, limit=10)
        delivery_queue.plan(connection, [(row, [ChannelRoute(channel="mail", not_before=NOW)]) for row in rows], NOW)
        (message,) = delivery_queue.take(connection, "mail", NOW, limit=10, lease=timedelta(minutes=2))
        delivery_queue.delete_message(connection, message)
        assert keys(connection) == [message.key]
        connection.execute(delete(Outbox))
        delivery_queue.delete_message(connection, message)
        assert keys(connection) == []
