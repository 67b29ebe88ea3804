"""Groups as a provider provisions them: who is in one changes only here, and each change is on record."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from service.context import Context
from service.principal import Principal
from storage.queries.identity import provisioning
from storage.recording import admin_acts
from storage.tables.identity import DirectoryGroup


async def put_group(
    context: Context,
    principal: Principal,
    group_id: str | None,
    *,
    name: str,
    external_id: str | None,
    wanted: Collection[str],
) -> DirectoryGroup:
    """Store a group with exactly these members, new where it has no id yet.

    Raises NotFound, Conflict where another has its name, and InputInvalid where a member is unknown.
    """
    now = context.now()

    def store(connection: Connection) -> DirectoryGroup:
        before = None if group_id is None else provisioning.group(connection, group_id).name
        members = set() if before is None else _members(connection, before)
        held = _members(connection, name)  # who held a name that was no group yet
        row = provisioning.put_group(connection, group_id, name=name, external_id=external_id, wanted=wanted, now=now)
        after = _members(connection, name)
        detail = {
            "name": {"before": before, "after": name},
            "added": sorted(after - members - held),
            "removed": sorted((members | held) - after),
        }
        if before != name or detail["added"] or detail["removed"]:
            act = Act(kind="group_changed", target=f"group:{name}", detail=detail)
            admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


async def remove_group(context: Context, principal: Principal, group_id: str) -> None:
    """Delete a group, and take its name from everybody; raises NotFound."""
    now = context.now()

    def store(connection: Connection) -> None:
        name = provisioning.group(connection, group_id).name
        removed = sorted(_members(connection, name))
        provisioning.delete_group(connection, group_id, now)
        act = Act(kind="group_removed", target=f"group:{name}", detail={"removed": removed})
        admin_acts.record(connection, principal.acted_by, act, now)

    await context.database.write(store)


def _members(connection: Connection, name: str) -> set[str]:
    return {person for person, _ in provisioning.members(connection, name)}
