"""End a canary: its new version is promoted, or reverted, by a person or because it did harm."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from placet.audit.admin_acts import SYSTEM, Act, ActedBy
from placet.errors import NotPermitted
from service.canaries.reading import CanaryFound, found, may_see
from service.context import Context
from service.definitions import act_of
from service.principal import Principal
from service.slas.people import told_of
from storage.queries import canaries
from storage.queries.definitions import definitions
from storage.recording import admin_acts
from storage.tables.canaries import WorkflowCanary

REVERTED = "canary_reverted"
"""The event that the owner of the process and admins are told."""
_SHARES: Final = {"outcome", "sla"}  # measures that are told in percentage points


async def promote_canary(
    context: Context, principal: Principal, canary_id: str, *, notes: str | None = None
) -> CanaryFound:
    """End a canary with its new version: every new request is given it. Raises NotFound, NotPermitted and Conflict."""
    now = context.now()

    def store(connection: Connection) -> CanaryFound:
        _permit(connection, principal, canary_id)
        return found(connection, promote(connection, canary_id, principal.acted_by, now, notes=notes))

    return await context.database.write(store)


async def revert_canary(
    context: Context, principal: Principal, canary_id: str, *, notes: str | None = None
) -> CanaryFound:
    """End a canary with the old version, which every new request is given. Raises as promoting does."""
    now = context.now()

    def store(connection: Connection) -> CanaryFound:
        _permit(connection, principal, canary_id)
        return found(connection, revert(connection, canary_id, principal.acted_by, now, notes=notes))

    return await context.database.write(store)


def promote(
    connection: Connection, canary_id: str, by: ActedBy, now: datetime, *, notes: str | None = None
) -> WorkflowCanary:
    """Give the new version to every new request, and put it on record; raises NotFound and Conflict."""
    person = by.actor.removeprefix("user:")
    values = {"status": "promoted", "ended_by": person, "ended_at": now, "end_notes": notes}
    row = canaries.end(connection, canary_id, values)
    admin_acts.record(connection, by, _act("canary_promoted", row), now)
    canaries.count(connection, "promoted")
    return row


def revert(
    connection: Connection,
    canary_id: str,
    by: ActedBy,
    now: datetime,
    *,
    notes: str | None = None,
    figures: list[dict[str, Any]] | None = None,
    harm: dict[str, Any] | None = None,
) -> WorkflowCanary:
    """Take the new version out of use, tell the owner and the admins, and put it on record; raises Conflict.

    Requests that run keep their version. `figures` are those of the comparison that showed the `harm`.
    """
    compared: dict[str, Any] = {} if figures is None else {"figures": figures, "compared_at": now, "harm": harm}
    person = None if by == SYSTEM else by.actor.removeprefix("user:")
    values = {"status": "reverted", "ended_by": person, "ended_at": now, "end_notes": notes, **compared}
    row = canaries.end(connection, canary_id, values)
    version = definitions.deprecate(connection, row.version_id)
    canaries.mail(connection, row.id, REVERTED, told_of(connection, row.owner, now), detail=_told(row, by), now=now)
    admin_acts.record(connection, by, act_of("version_deprecated", version), now)
    admin_acts.record(connection, by, _act("canary_reverted", row), now)
    canaries.count(connection, "reverted" if harm is None else "harm")
    return row


def _permit(connection: Connection, principal: Principal, canary_id: str) -> None:
    row = canaries.get(connection, canary_id)
    may_see(principal, row)
    if not principal.access & {"designer", "admin"} and not principal.owns(row.owner):
        raise NotPermitted("A canary is ended by a designer, an admin, or the owner of the process.")


def _told(row: WorkflowCanary, by: ActedBy) -> dict[str, Any]:
    """Return what a mail says."""
    detail: dict[str, Any] = {
        "workflow": row.template,
        "version": row.version,
        "baseline": row.baseline,
        "by": None if by == SYSTEM else by.actor,
        "notes": row.end_notes,
        "measure": None,
    }
    if row.harm is not None:
        difference, percent = row.harm["difference"], 100 if row.harm["measure"] in _SHARES else 1
        detail |= {
            "measure": row.harm["measure"],
            "margin": round(percent * row.harm["margin"], 2),
            "low": round(percent * difference["low"], 2),
            "high": round(percent * difference["high"], 2),
            "new_count": row.harm["new"]["count"],
            "old_count": row.harm["old"]["count"],
        }
    return detail


def _act(kind: str, row: WorkflowCanary) -> Act:
    detail: dict[str, Any] = {"process": row.template, "version": row.version, "baseline": row.baseline}
    if row.harm is not None:
        detail |= {
            "measure": row.harm["measure"],
            "margin": f"{row.harm['margin']:g}",
            "low": f"{row.harm['difference']['low']:g}",
            "high": f"{row.harm['difference']['high']:g}",
        }
    return Act(kind=kind, target=f"canary:{row.id}", detail=detail)
