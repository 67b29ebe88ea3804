"""Erase what a person wrote in requests of others: comments, questions, reasons, forms and signatures.

Values are sealed, so their commitments stay in their place and the audit chains stay valid. What was made of such a
text (the input of an action or of a sub-process) holds it again: the same text goes there too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.chain import canonical_json
from placet.audit.sealed import committed, erased
from placet.errors import Conflict
from placet.json_pointer import value_at
from placet.json_values import walk
from storage.database import of_rows
from storage.queries.requests import titles
from storage.recording.verify import verify_rows
from storage.retention.erasure import TITLE, UNSENT, drop_unsent
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, AuditSuperseded, Delivery, Outbox
from storage.tables.notifications import NotificationMessage

_SHORTEST: Final = 3
"""Characters of the shortest text that is looked for where it stands alone."""
_WITHIN: Final = 8
"""Characters of the shortest text that is looked for within others."""
_OF_THE_REQUESTER: Final = frozenset({"started", "attached", "resubmitted"})
"""Kinds of entries with what the request is about: it is the requester's, also where somebody entered it for them."""

Row = AuditEntry | AuditSuperseded | Delivery


def family_of(connection: Connection, request_id: str) -> list[str]:
    """Return the request and the sub-processes below it, as its entries have them."""
    found, looked = [request_id], 0
    while looked < len(found):
        entries = select(col(AuditEntry.detail)).where(
            col(AuditEntry.request_id) == found[looked], col(AuditEntry.kind) == "child_started"
        )
        for detail in connection.scalars(entries):
            child = _read(detail).get("request")
            if isinstance(child, str) and child not in found:
                found.append(child)
        looked += 1
    return found


def waits_for(connection: Connection, request_id: str) -> bool:
    """Whether a request, or a sub-process below it, still runs, can be claimed, or has notifications to be confirmed.

    While it runs, the engine holds what the person wrote and would write it again.
    """
    family = family_of(connection, request_id)
    running = select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.id).in_(family),
        (col(ApprovalRequest.status) == "pending") | (col(ApprovalRequest.claim_status) == "open"),
    )
    held = select(col(Outbox.key)).where(col(Outbox.request_id).in_(family), col(Outbox.status) == "held")
    return any(connection.execute(query.limit(1)).first() is not None for query in (running, held))


@of_rows
def erase_texts(session: Session, request_id: str, person: str, now: datetime) -> list[str]:
    """Erase what a person wrote in one request of somebody else that has ended; return the request and its family.

    A repeat has no effect. Raises Conflict where a chain is invalid (the erasure would hide edits), or where the
    request is older than sealed content.
    """
    connection = session.connection()
    family = family_of(connection, request_id)
    for one in family:
        if not verify_rows(connection, one)["ok"]:
            raise Conflict(f"An audit chain of {one!r} is invalid; run `placet verify` on the request first")
    rows = _rows_of(session, family)
    written = [row for row in rows if _wrote(row, person)]
    if any(row.salts is None and _has_words(row) for row in written):
        raise Conflict(
            f"Request {request_id!r} is older than sealed content: its chain contains the content and cannot be erased"
        )
    texts = {text for row in written for text in _texts_of(row)}
    texts |= set(_texts_of_tasks(session, family, person))
    for row in rows:
        if _wrote(row, person) or _delivered_to(session, row, person):
            _commit(row, _salts(row))
        elif texts:
            _commit(
                row,
                [
                    place
                    for place in _salts(row)
                    if _repeats(value_at(_read(row.detail), place), texts, _is_content(row))
                ],
            )
    _erase_projection(session, family, person, texts, now)
    return family


def _rows_of(session: Session, family: Sequence[str]) -> list[Row]:
    found: list[Row] = []
    for model in (AuditEntry, AuditSuperseded, Delivery):
        found += session.scalars(select(model).where(col(model.request_id).in_(family)))
    return found


def _wrote(row: Row, person: str) -> bool:
    """Whether a row is of an act of the person that is not the request's own content."""
    return not isinstance(row, Delivery) and row.actor == f"user:{person}" and not _is_content(row)


def _is_content(row: Row) -> bool:
    return row.kind in _OF_THE_REQUESTER


def _delivered_to(session: Session, row: Row, person: str) -> bool:
    if not isinstance(row, Delivery) or row.salts is None:
        return False
    sent = session.get(Outbox, row.outbox_key)
    return sent is not None and sent.person == person


def _has_words(row: Row) -> bool:
    """Whether a row without sealed values holds what somebody wrote."""
    detail = _read(row.detail)
    held = [detail.get(name) for name in ("why", "form", "signature", "text")]
    return any(isinstance(value, str | dict | list) and not erased(value) and not _is_code(value) for value in held)


def _is_code(value: Any) -> bool:
    return isinstance(value, dict) and "code" in value


def _salts(row: Row) -> list[str]:
    return [] if row.salts is None else list(json.loads(row.salts))


def _commit(row: Row, places: Sequence[str]) -> None:
    """Replace sealed values at these places by their commitments, and forget their salts."""
    if not places:
        return
    salts: dict[str, str] = json.loads(row.salts or "{}")
    gone = {place: salts.pop(place) for place in places}
    row.detail = canonical_json(committed(_read(row.detail), gone, canonical_json)).decode()
    row.salts = canonical_json(salts).decode() if salts else None


def _texts_of(row: Row) -> Iterator[str]:
    for place in _salts(row):
        yield from (text for text in _leaves(value_at(_read(row.detail), place)) if len(text) >= _SHORTEST)


def _texts_of_tasks(session: Session, family: Sequence[str], person: str) -> Iterator[str]:
    for task in session.scalars(_decided_by(family, person)):
        yield from (text for text in _leaves([task.comment, task.form, task.signature]) if len(text) >= _SHORTEST)


def _decided_by(family: Sequence[str], person: str) -> Any:
    return select(ApprovalTask).where(col(ApprovalTask.request_id).in_(family), col(ApprovalTask.decided_by) == person)


def _repeats(value: Any, texts: set[str], is_content: bool) -> bool:
    """Whether a value holds one of the texts. What a request is about may share short words with them by chance."""
    long = [text for text in texts if len(text) >= _WITHIN]
    leaves = list(_leaves(value))
    return any(text in leaf for text in long for leaf in leaves) or (not is_content and not texts.isdisjoint(leaves))


def _leaves(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value."""
    return (one for one, *_ in walk(value) if isinstance(one, str))


def _without(value: Any, texts: set[str]) -> Any:
    """Return a JSON value with `(erased)` in the place of each text that holds one of these."""
    if isinstance(value, str):
        return TITLE if _repeats(value, texts, is_content=True) else value
    if isinstance(value, dict):
        return {name: _without(inner, texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, texts) for inner in value]
    return value


def _erase_projection(session: Session, family: Sequence[str], person: str, texts: set[str], now: datetime) -> None:
    for request in session.scalars(select(ApprovalRequest).where(col(ApprovalRequest.id).in_(family))):
        if _repeats(request.title, texts, is_content=True):
            request.title = TITLE
            titles.put(session.connection(), [{"id": request.id, "title": TITLE}])
        request.input = _without(request.input, texts)
        if request.questions is not None:
            request.questions = [_question_without(one, person, texts) for one in request.questions]
    for task in session.scalars(_decided_by(family, person)):
        task.comment = task.form = task.signature = None
    for sent in session.scalars(select(Outbox).where(col(Outbox.request_id).in_(family))):
        told = json.dumps(sent.detail)
        if sent.person == person or f'"user:{person}"' in told or _repeats(sent.detail, texts, is_content=False):
            sent.detail = {}
            if sent.status in UNSENT:
                its = (col(Outbox.key) == sent.key, col(NotificationMessage.key) == sent.key)
                drop_unsent(session.connection(), *its, now)


def _question_without(question: dict[str, Any], person: str, texts: set[str]) -> dict[str, Any]:
    if question.get("asked_by") in {person, f"user:{person}"}:
        question = {**question, "text": None}
    answer = question.get("answer")
    return (
        {**question, "answer": None}
        if isinstance(answer, str) and _repeats(answer, texts, is_content=False)
        else question
    )


def _read(detail: str) -> dict[str, Any]:
    value = json.loads(detail)
    return value if isinstance(value, dict) else {}
