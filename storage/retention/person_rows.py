"""Erase what tables hold of a person beside the contents of requests, batch by batch."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    String,
    and_,
    cast,
    delete,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel import col

from storage.recording import admin_acts
from storage.retention.erasure import drop_unsent, list_files
from storage.retention.person_rules import EMPTIED, GONE, NOBODY, RowsOf
from storage.tables.approvals import ApprovalRequest, IdempotentCall, Outbox, Participant, Refusal, StoredPerson
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.evidence import EvidencePack
from storage.tables.notifications import NotificationMessage
from storage.tables.request_drafts import DraftFile
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow

BATCH: Final = 500  # rows of one transaction
_FEW: Final = 20  # drafts or simulations of one transaction, which have parts
_ERASED = {"erased": True}  # what whoever repeats such a call is answered


def become_nobody(connection: Connection, person: str, now: datetime) -> None:
    """Empty the row of a person, who has left from now on; their id stays."""
    emptied = update(StoredPerson).where(col(StoredPerson.id) == person)
    connection.execute(emptied.values(**NOBODY, updated_at=now))


def erase_batch(connection: Connection, person: str, now: datetime) -> int:
    """Erase one batch of what is stored about a person; return how many rows there were, 0 once nothing is left."""
    for rows in GONE:
        if number := _delete(connection, rows, person):
            return number
    drop_unsent(connection, col(Outbox.person) == person, col(NotificationMessage.person) == person, now)
    for rows in EMPTIED:
        if number := _empty(connection, rows, person):
            return number
    for step in (
        _unsent_files,
        _lonely_drafts,
        _own_simulations,
        _simulated_requests,
        _answers_to_others,
        _refusals,
        _acts,
    ):
        if number := step(connection, person, now):
            return number
    return 0


def ids_of(person: str) -> tuple[str, str]:
    """Return how a column names a person."""
    return person, f"user:{person}"


def names(column: SQLColumnExpression[Any], person: str) -> ColumnElement[bool]:
    """Whether a JSON value, as it is stored, has the id of a person as a text of its own."""
    text = cast(column, String)
    return or_(*(text.contains(json.dumps(written), autoescape=True) for written in ids_of(person)))


def _keys(rows: RowsOf) -> tuple[Column[Any], ...]:
    return tuple(rows.table.primary_key.columns)


def _delete(connection: Connection, rows: RowsOf, person: str) -> int:
    keys = _keys(rows)
    found = select(*keys).where(rows.table.c[rows.named].in_(ids_of(person))).limit(BATCH)
    batch = [tuple(row) for row in connection.execute(found)]
    if batch:
        connection.execute(delete(rows.model).where(tuple_(*keys).in_(batch)))
    return len(batch)


def _empty(connection: Connection, rows: RowsOf, person: str) -> int:
    assert rows.emptied is not None, "asked for only where columns are emptied"  # noqa: S101
    keys = _keys(rows)
    still = or_(*(_differs(rows.table.c[name], value) for name, value in rows.emptied.items()))
    found = select(*keys).where(rows.table.c[rows.named].in_(ids_of(person)), still).limit(BATCH)
    batch = [tuple(row) for row in connection.execute(found)]
    if batch:
        connection.execute(update(rows.model).where(tuple_(*keys).in_(batch)).values(**rows.emptied))
    return len(batch)


def _differs(column: Column[Any], value: Any) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None)
    if isinstance(value, str):
        return column != value
    return cast(column, String) != json.dumps(value)


def _unsent_files(connection: Connection, person: str, now: datetime) -> int:
    found = select(DraftFile.__table__).where(col(DraftFile.person) == person).limit(BATCH)  # type: ignore[attr-defined]  # SQLModel adds it
    rows = connection.execute(found).mappings().all()
    if rows:
        files = {(row["request_id"], row["sha256"]) for row in rows}
        list_files(connection, files, now)
        connection.execute(delete(DraftFile).where(col(DraftFile.id).in_([row["id"] for row in rows])))
    return len(rows)


def _lonely_drafts(connection: Connection, person: str, _now: datetime) -> int:
    """Delete drafts that nobody else has written in, unless they became a version or wait to."""
    draft = col(BlueprintDraft.id)
    alone = cast(col(BlueprintDraft.authors), String) == json.dumps([person])
    mine = (col(BlueprintDraft.created_by) == person, alone, col(BlueprintDraft.status).in_(("open", "discarded")))
    ids = connection.scalars(select(draft).where(*mine).limit(_FEW)).all()
    if ids:
        connection.execute(delete(BlueprintDraftRevision).where(col(BlueprintDraftRevision.draft_id).in_(ids)))
        connection.execute(delete(BlueprintDraft).where(draft.in_(ids)))
    return len(ids)


def _own_requests(person: str) -> Any:
    return select(col(ApprovalRequest.id)).where(col(ApprovalRequest.requester) == person)


def _own_simulations(connection: Connection, person: str, _now: datetime) -> int:
    simulation = col(WorkflowSimulation.id)
    mine = or_(
        col(WorkflowSimulation.created_by) == person, col(WorkflowSimulation.request_id).in_(_own_requests(person))
    )
    ids = connection.scalars(select(simulation).where(mine).limit(_FEW)).all()
    if ids:
        rows = delete(WorkflowSimulationRow).where(col(WorkflowSimulationRow.simulation_id).in_(ids))
        connection.execute(rows)
        connection.execute(delete(WorkflowSimulation).where(simulation.in_(ids)))
    return len(ids)


def _simulated_requests(connection: Connection, person: str, _now: datetime) -> int:
    keys = (col(WorkflowSimulationRow.simulation_id), col(WorkflowSimulationRow.position))
    found = select(*keys).where(col(WorkflowSimulationRow.request_id).in_(_own_requests(person))).limit(BATCH)
    batch = [tuple(row) for row in connection.execute(found)]
    if batch:
        connection.execute(delete(WorkflowSimulationRow).where(tuple_(*keys).in_(batch)))
    return len(batch)


def _answers_to_others(connection: Connection, person: str, _now: datetime) -> int:
    """Empty the answers that others were given and that name the person: whoever repeats the call is told less."""
    keys = (col(IdempotentCall.principal), col(IdempotentCall.key))
    answer = col(IdempotentCall.answer)
    found = select(*keys).where(answer.is_not(None), names(answer, person)).limit(BATCH)
    batch = [tuple(row) for row in connection.execute(found)]
    if batch:
        connection.execute(update(IdempotentCall).where(tuple_(*keys).in_(batch)).values(answer=_ERASED))
    return len(batch)


def _refusals(connection: Connection, person: str, _now: datetime) -> int:
    """Delete what others were refused about the person's own requests: reasons quote contents."""
    found = select(col(Refusal.id)).where(col(Refusal.request_id).in_(_own_requests(person))).limit(BATCH)
    ids = connection.scalars(found).all()
    if ids:
        connection.execute(delete(Refusal).where(col(Refusal.id).in_(ids)))
    return len(ids)


def _acts(connection: Connection, person: str, _now: datetime) -> int:
    return admin_acts.erase_sealed(connection, f"person:{person}", most=BATCH)


def packs_to_delete(connection: Connection, person: str) -> list[str]:
    """Return the evidence packs with a file here that may hold what the person wrote, by their processes."""
    taken_part = select(col(Participant.request_id)).where(col(Participant.person) == person)
    processes = select(col(ApprovalRequest.template)).where(
        or_(col(ApprovalRequest.requester) == person, col(ApprovalRequest.id).in_(taken_part))
    )
    ready = and_(col(EvidencePack.status) == "ready", col(EvidencePack.process).in_(processes))
    return list(connection.scalars(select(col(EvidencePack.id)).where(ready)))
