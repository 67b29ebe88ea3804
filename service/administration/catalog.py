"""The action catalog: what processes can do besides asking people."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from activities.actions.builtin import config_schema, known_executors
from activities.actions.secrets import references
from placet.audit.admin_acts import Act
from placet.definition.json_schema.validation import unusable, value_problems
from placet.errors import InputInvalid, Problem
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.context import Context
from service.principal import Principal
from storage.queries import actions
from storage.queries.actions import Statistics
from storage.recording import admin_acts
from storage.tables.actions import ActionCatalog

LONGEST_DESCRIPTION: Final = 4000
_MAY_HAND_OUT_SECRETS = frozenset({"admin"})


async def add_action(context: Context, principal: Principal, name: str, facts: dict[str, Any]) -> ActionCatalog:
    """Add an action; `facts` are its columns. Raises InputInvalid with all faults, Conflict, and NotPermitted.

    Only an admin may add an action whose config refers to a secret.
    """
    await _check(context, principal, facts)
    by, now = principal.person, context.now()
    row = ActionCatalog(
        id=uuid.uuid4().hex, name=name, **facts, created_by=by, created_at=now, updated_by=by, updated_at=now
    )
    act = Act(kind="action_added", target=f"action:{name}", detail={"executor": facts["executor"]})
    return await write_with_act(context.database, principal.acted_by, now, act, actions.add, row)


async def change_action(
    context: Context, principal: Principal, action: str, facts: dict[str, Any], *, named: str | None = None
) -> tuple[ActionCatalog, Statistics | None]:
    """Change an action for requests that begin from now on, and return it with how it fared. As for adding one.

    `action` is its name or id; `named` the name in what was sent, if there is one. Raises NotFound as well.
    """
    await _check(context, principal, facts)
    now = context.now()
    changes = facts | {"updated_by": principal.person, "updated_at": now}

    def store(connection: Connection) -> tuple[ActionCatalog, Statistics | None]:
        row = actions.get(connection, action)
        before = row.model_dump()
        if named not in {None, row.name}:
            message = sentence(
                "the name differs from {name!r} in the path; leave it out, or send the same name", name=row.name
            )
            raise InputInvalid(
                sentence("/name: {message}", message=message), problems=(Problem(pointer="/name", message=message),)
            )
        row = actions.change(connection, row.id, changes)
        _record_change(connection, principal, before, row, facts, now)
        return row, actions.statistics(connection, [row.name]).get(row.name)

    return await context.database.write(store)


async def describe_action(
    context: Context, principal: Principal, action_id: str, *, description: str, enabled: bool
) -> ActionCatalog:
    """Change how an action is described, and whether requests that begin from now on may run it, and nothing else.

    Raises InputInvalid and NotFound.
    """
    if len(description) > LONGEST_DESCRIPTION or "\0" in description:
        message = sentence(
            "write at most {longest_description} characters, without NUL", longest_description=LONGEST_DESCRIPTION
        )
        raise InputInvalid(
            sentence("/description: {message}", message=message),
            problems=(Problem(pointer="/description", message=message),),
        )
    now = context.now()
    facts = {"description": description, "enabled": enabled}

    def store(connection: Connection) -> ActionCatalog:
        before = actions.get(connection, action_id).model_dump()
        row = actions.change(connection, action_id, facts | {"updated_by": principal.person, "updated_at": now})
        _record_change(connection, principal, before, row, facts, now)
        return row

    return await context.database.write(store)


def _record_change(  # noqa: PLR0917
    connection: Connection,
    principal: Principal,
    before: dict[str, Any],
    row: ActionCatalog,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    names = sorted(fact for fact, value in facts.items() if before[fact] != value)
    if names:
        detail: dict[str, Any] = {"changed": names}
        if "enabled" in names:
            detail["enabled"] = row.enabled
        act = Act(kind="action_changed", target=f"action:{row.name}", detail=detail)
        admin_acts.record(connection, principal.acted_by, act, now)


async def _check(context: Context, principal: Principal, facts: dict[str, Any]) -> None:
    """Raise InputInvalid with every fault, and NotPermitted where secrets are an admin's to hand out."""
    # Unknown schemas are checked in the pool, whose processes have limits of memory and time.
    schemas = {"/input_schema": facts["input_schema"], "/output_schema": facts["output_schema"]}
    problems = [*await context.pool.run(unusable, schemas, by=principal.person)]
    executor, config = facts["executor"], facts["config"]
    known, secret = config_schema(executor), any(references(config))
    if known is None:
        message = sentence(
            "there is no executor of this name; use one of {names}", names=", ".join(sorted(known_executors()))
        )
        problems.append(Problem(pointer="/executor", message=message))
    else:
        problems += value_problems(known, config, "/config")
        if secret and "url" in known.get("properties", {}) and "url" not in config:
            message = "an action with a secret needs a fixed address; add its url to the config"
            problems.append(Problem(pointer="/config/url", message=message))
    if problems:
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
            problems=tuple(problems),
        )
    if secret:
        principal.need(_MAY_HAND_OUT_SECRETS)
