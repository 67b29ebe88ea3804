"""What was found needless and may be needed again: the request went on while its messages were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.prepared import Prepared, among
from storage.tables.approvals import ApprovalRequest

if TYPE_CHECKING:
    from storage.queries.notifications.delivery_queue import AttemptResult

_HEADS = Prepared(
    lambda dialect: (
        select(col(ApprovalRequest.id), col(ApprovalRequest.head))
        .where(among(dialect, col(ApprovalRequest.id), "ids"))
        .order_by(col(ApprovalRequest.id))
        .with_for_update(read=True)
    )
)


def reconsidered(connection: Connection, items: Sequence[AttemptResult], now: datetime) -> list[AttemptResult]:
    """Return the results, with messages pending again that were dropped by what a request was before it went on.

    What is recorded of a request holds dropped messages again that are needed after it. It cannot know of those that
    are just being dropped, so its row stays as it is until these are. Call it before messages are locked, as recording
    locks them in this order.
    """
    ids = sorted({item.request_id for item in items if item.status == "dropped" and item.as_of is not None})
    if not ids:
        return list(items)
    heads = {row.id: row.head for row in _HEADS.rows(connection, ids=ids)}
    return [
        replace(item, status="pending", again_at=now, untried=True)
        if item.status == "dropped" and item.as_of not in {None, heads.get(item.request_id)}
        else item
        for item in items
    ]
