"""Mutating calls that were refused: kept here, for refused updates leave no trace in the engine."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.tables.approvals import Refusal


async def add(session: AsyncSession, refusal: Refusal) -> None:
    """Store one refusal."""
    session.add(refusal)
    await session.flush()


async def of_request(session: AsyncSession, request_id: str) -> list[Refusal]:
    """List what was refused on a request, oldest first."""
    query = select(Refusal).where(col(Refusal.request_id) == request_id)
    return list(await session.scalars(query.order_by(col(Refusal.at), col(Refusal.id))))
