"""The stored action catalog, and the statistics of its actions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Float, case, func, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.definition.action_spec import ActionSpec, LatencyClass
from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.recording import metrics
from storage.tables.actions import ActionCatalog, ActionExecution

_P95 = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Statistics of an action over all its attempts: times in seconds, `success_rate` 0 to 1; None before the first."""

    count: int = 0
    mean: float | None = None
    p95: float | None = None
    success_rate: float | None = None


def spec_of(row: ActionCatalog) -> ActionSpec:
    """Return a stored action as a plan freezes it."""
    return ActionSpec(
        name=row.name,
        executor=row.executor,
        is_idempotent=row.is_idempotent,
        latency_class=cast(LatencyClass, row.latency_class),
        side_effects=tuple(row.side_effects),
        accepts_key=row.accepts_key,
        input_schema=row.input_schema,
        output_schema=row.output_schema,
        config=row.config,
        cost=row.cost,
    )


@of_rows
def specs(session: Session, names: Iterable[str] | None = None) -> dict[str, ActionSpec]:
    """Return the enabled actions by name, all of them or those of these names."""
    query = select(ActionCatalog).where(col(ActionCatalog.enabled))
    if names is not None:
        query = query.where(col(ActionCatalog.name).in_(sorted(set(names))))
    return {row.name: spec_of(row) for row in session.scalars(query)}


@of_rows
def get(session: Session, reference: str) -> ActionCatalog:
    """Return an action by its name or id; raises NotFound."""
    query = select(ActionCatalog).where(or_(col(ActionCatalog.name) == reference, col(ActionCatalog.id) == reference))
    found = list(session.scalars(query))
    if not found:
        raise NotFound(sentence("There is no action {reference!r} in the catalog", reference=reference))
    # The name of one action may equal the id of another; the name comes first.
    return next((row for row in found if row.name == reference), found[0])


@of_rows
def page(
    session: Session, *, limit: int, cursor: str | None = None, enabled: bool | None = None
) -> cursors.Page[ActionCatalog]:
    """List actions by name, `limit` at a time."""
    query = select(ActionCatalog).order_by(col(ActionCatalog.name)).limit(limit + 1)
    if cursor is not None:
        (after,) = cursors.read_names(cursor, 1)
        query = query.where(col(ActionCatalog.name) > after)
    if enabled is not None:
        query = query.where(col(ActionCatalog.enabled) == enabled)
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.name,))


@of_rows
def add(session: Session, row: ActionCatalog) -> ActionCatalog:
    """Store a new action; raises Conflict where there is one of that name."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(sentence("There is an action {name!r} already; PUT changes it", name=row.name)) from error
    return row


@of_rows
def change(session: Session, action_id: str, changes: Mapping[str, Any]) -> ActionCatalog:
    """Change these columns of an action, by its id; raises NotFound."""
    row = session.get(ActionCatalog, action_id)
    if row is None:
        raise NotFound(sentence("There is no action {action_id!r} in the catalog", action_id=action_id))
    for column, value in changes.items():
        setattr(row, column, value)
    return row


def seed(connection: Connection, offered: Iterable[ActionSpec], descriptions: dict[str, str], now: datetime) -> int:
    """Add the built-in actions that are missing. Stored actions stay as they are. Returns how many were missing."""
    there = set(connection.scalars(select(col(ActionCatalog.name))))
    missing = [spec for spec in offered if spec.name not in there]
    for spec in missing:
        row = ActionCatalog(
            id=uuid.uuid4().hex,
            name=spec.name,
            description=descriptions.get(spec.name, ""),
            executor=spec.executor,
            is_idempotent=spec.is_idempotent,
            latency_class=spec.latency_class,
            side_effects=list(spec.side_effects),
            accepts_key=spec.accepts_key,
            input_schema=spec.input_schema,
            output_schema=spec.output_schema,
            config=spec.config,
            cost=spec.cost,
            created_by="system",
            created_at=now,
            updated_by="system",
            updated_at=now,
        )
        try:
            add(connection, row)
        except Conflict:  # another process of this installation starts at the same moment
            continue
    return len(missing)


def statistics(connection: Connection, names: Iterable[str]) -> dict[str, Statistics]:
    """Return the statistics of these actions in one query, without those that never ran."""
    rank = func.cume_dist().over(partition_by=col(ActionExecution.action), order_by=col(ActionExecution.duration))
    inner = (
        select(
            col(ActionExecution.action),
            col(ActionExecution.duration),
            case((col(ActionExecution.ok), 1.0), else_=0.0).label("ok"),
            rank.label("rank"),
        )
        .where(col(ActionExecution.action).in_(sorted(set(names))))
        .subquery()
    )
    query = select(
        inner.c.action,
        func.count().label("number"),
        func.avg(inner.c.duration).cast(Float).label("mean"),
        func.avg(inner.c.ok).cast(Float).label("rate"),
        func.min(case((inner.c.rank >= _P95, inner.c.duration))).label("p95"),
    ).group_by(inner.c.action)
    return {
        row.action: Statistics(count=row.number, mean=row.mean, p95=row.p95, success_rate=row.rate)
        for row in connection.execute(query)
    }


def record_execution(connection: Connection, execution: ActionExecution, spec: ActionSpec) -> None:
    """Store one attempt and count it, in the caller's transaction; the same attempt again is stored once."""
    known = select(col(ActionExecution.id)).where(col(ActionExecution.id) == execution.id)
    if connection.execute(known).first() is not None:
        return
    values: dict[str, Any] = execution.model_dump()
    connection.execute(insert(ActionExecution), [values])
    labels = (spec.executor, spec.latency_class)
    total, seconds = metrics.ACTIONS
    counted = metrics.increment(total, *labels)
    counted.update(metrics.observation(seconds, execution.duration, *labels))
    metrics.count(connection, counted)
