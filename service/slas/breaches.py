"""Breaches: who sees them, and who acknowledges them.

Auditors and admins see all of them, others those of the processes that they own.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from placet.errors import NotFound, NotPermitted
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from storage.queries import cursor as cursors
from storage.queries.slas import breaches
from storage.queries.slas.breaches import Chosen
from storage.recording import admin_acts
from storage.tables.slas import SlaBreach


async def list_breaches(
    context: Context, principal: Principal, chosen: Chosen, *, limit: int, cursor: str | None
) -> cursors.Page[SlaBreach]:
    """List the breaches that somebody may see, the latest first; raises InputInvalid for a cursor that is none."""
    return await context.database.read(breaches.page, limit=limit, cursor=cursor, chosen=_seen_by(principal, chosen))


def waiting_first(
    connection: Connection, principal: Principal, chosen: Chosen, *, limit: int, cursor: str | None
) -> cursors.Page[SlaBreach]:
    """List the breaches that somebody may see, those that nobody has acknowledged first, of each the latest first.

    Raises InputInvalid for a cursor that is none.
    """
    return breaches.waiting_first(connection, limit=limit, cursor=cursor, chosen=_seen_by(principal, chosen))


def count_own_waiting(connection: Connection, principal: Principal, *, most: int) -> int:
    """Count, up to `most`, the breaches of the processes that somebody owns which nobody has acknowledged."""
    return breaches.count_waiting(connection, principal.names, most=most)


def may_acknowledge(principal: Principal, row: SlaBreach) -> bool:
    """Whether somebody may acknowledge a breach that they see."""
    return principal.admin or (principal.owns(row.owner) and bool(principal.access - {"auditor"}))


async def read_breach(context: Context, principal: Principal, breach_id: str) -> SlaBreach:
    """Return a breach; raises NotFound where there is none that is theirs to see."""
    return await context.database.read(seen_breach, principal, breach_id)


async def acknowledge_breach(context: Context, principal: Principal, breach_id: str, *, notes: str | None) -> SlaBreach:
    """Acknowledge a breach, once: then nobody is mailed about it any more.

    Raises NotFound, NotPermitted for all but the owner of the process and admins, and Conflict where somebody has.
    """
    now = context.now()

    def store(connection: Connection) -> SlaBreach:
        row = seen_breach(connection, principal, breach_id)
        if not principal.admin and not principal.owns(row.owner):
            raise NotPermitted("Breaches are acknowledged by the owner of the process, or by an admin.")
        row = breaches.acknowledge(connection, breach_id, by=principal.person, notes=notes, now=now)
        detail = {"sla": row.sla_id, "request": row.request_id, "severity": row.severity}
        act = Act(kind="sla_breach_acknowledged", target=f"sla_breach:{breach_id}", detail=detail)
        admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


def seen_breach(connection: Connection, principal: Principal, breach_id: str) -> SlaBreach:
    """Return a breach; raises NotFound where there is none that is theirs to see."""
    row = breaches.get(connection, breach_id)
    if not principal.sees_all and not principal.owns(row.owner):
        raise NotFound(sentence("There is no breach {breach_id!r}", breach_id=breach_id))
    return row


def _seen_by(principal: Principal, chosen: Chosen) -> Chosen:
    return chosen if principal.sees_all or chosen.owners is not None else replace(chosen, owners=principal.names)
