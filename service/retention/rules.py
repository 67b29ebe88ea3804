"""Rules of retention: how long the contents of a process's requests are kept, set by admins, each with an act."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from placet.errors import InputInvalid, NotFound
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from storage.queries import retention
from storage.queries.definitions import definitions
from storage.recording import admin_acts
from storage.tables.retention import RetentionRule

MOST_DAYS = 36_500


async def set_rule(context: Context, principal: Principal, template: str, content_days: int | None) -> RetentionRule:
    """Set for how many days the contents of a process's requests are kept after their end; None: for good.

    Raises InputInvalid where there is no such process.
    """
    now = context.now()

    def store(connection: Connection) -> RetentionRule:
        try:
            definitions.named(connection, template)
        except NotFound:
            raise InputInvalid.at(
                "/template", sentence("no published process is called {name!r}", name=template)
            ) from None
        row = RetentionRule(
            id=rule_id(template), template=template, content_days=content_days, set_by=principal.person, set_at=now
        )
        before = retention.put(connection, row)
        if before is None or before.content_days != content_days:
            detail = {"content_days": _said(content_days)}
            if before is not None:
                detail["before"] = _said(before.content_days)
            act = Act(kind="retention_set", target=f"process:{template}", detail=detail)
            admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


async def remove_rule(context: Context, principal: Principal, rule: str) -> RetentionRule:
    """Remove a rule, so that the setting of the installation holds, and return it; raises NotFound."""
    now = context.now()

    def store(connection: Connection) -> RetentionRule:
        row = retention.remove(connection, rule)
        act = Act(
            kind="retention_removed",
            target=f"process:{row.template}",
            detail={"before": _said(row.content_days)},
        )
        admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


def rule_id(template: str) -> str:
    """Return the id of a process's rule: the same name has the same one."""
    return f"keep_{hashlib.sha256(template.encode()).hexdigest()[:32]}"


def _said(days: int | None) -> int | str:
    return "for good" if days is None else days
