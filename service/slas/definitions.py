"""Definitions of SLAs: added, changed and removed by designers and admins, each with an administrative act."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from placet.errors import InputInvalid, NotFound, Problem
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.context import Context
from service.principal import Principal
from service.slas.monitoring import Window, live_window
from storage.queries.definitions import definitions as processes
from storage.queries.slas import definitions, executions
from storage.recording import admin_acts
from storage.tables.slas import WorkflowSla

_MOST_NAMED = 20
_NEAR = 0.5
# What says what is measured; another measure is another SLA, for breaches on record say what they were measured by.
_FIXED = ("template", "stage", "business_time")
# What says from when on executions are judged anew.
_JUDGED_BY = ("target_duration_seconds", "warning_threshold_seconds", "critical_threshold_seconds", "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaFacts:
    """What somebody says of an SLA; durations in seconds, the window in hours, the target of the SLO in per cent."""

    name: str
    template: str
    stage: str | None
    target_duration_seconds: float
    warning_threshold_seconds: float | None
    critical_threshold_seconds: float | None
    slo_window_hours: float
    slo_target_percentage: float
    business_time: bool
    enabled: bool


async def add_sla(context: Context, principal: Principal, facts: SlaFacts, *, sla_id: str) -> WorkflowSla:
    """Add an SLA; what has ended in its window counts at once, and is no breach. The same id is the same SLA again.

    Raises InputInvalid with all faults.
    """
    _check_order(facts)
    now, by = context.now(), principal.person

    def store(connection: Connection) -> WorkflowSla:
        _check_places(connection, facts)
        row = WorkflowSla(
            id=sla_id,
            **asdict(facts),
            since=now,
            judged_until=_before_window(facts.slo_window_hours, now),
            created_by=by,
            created_at=now,
            updated_by=by,
            updated_at=now,
        )
        made = definitions.add(connection, row)
        if made is row:
            act = Act(kind="sla_added", target=f"sla:{row.id}", detail={"template": row.template, "stage": row.stage})
            admin_acts.record(connection, principal.acted_by, act, now)
        return made

    return await context.database.write(store)


async def change_sla(context: Context, principal: Principal, sla_id: str, facts: SlaFacts) -> WorkflowSla:
    """Change an SLA; breaches on record stay. With other thresholds, what is in its window is judged anew.

    Raises NotFound, and InputInvalid with all faults, also where something else would be measured.
    """
    _check_order(facts)
    now = context.now()
    wanted = asdict(facts)

    def store(connection: Connection) -> WorkflowSla:
        before = definitions.get(connection, sla_id).model_dump()
        if problems := tuple(
            Problem(
                pointer=f"/{name}",
                message="this says what is measured, and stays as it is; add another SLA instead",
            )
            for name in _FIXED
            if wanted[name] != before[name]
        ):
            raise InputInvalid(
                sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
                problems=problems,
            )
        changed = sorted(name for name, value in wanted.items() if value != before[name])
        if not changed:
            return definitions.get(connection, sla_id)
        more: dict[str, object] = {"updated_by": principal.person, "updated_at": now}
        if set(changed) & {*_JUDGED_BY, "slo_window_hours"}:
            begin = _before_window(facts.slo_window_hours, now)
            forgotten = before["forgotten_until"]
            more["judged_until"] = begin
            more["forgotten_until"] = None if forgotten is None else min(forgotten, begin)
        if set(changed) & {*_JUDGED_BY}:
            executions.forget(connection, sla_id)
            more["since"] = now
        row = definitions.change(connection, sla_id, wanted | more)
        detail = {name: {"before": _text(before[name]), "after": _text(wanted[name])} for name in changed}
        act = Act(kind="sla_changed", target=f"sla:{sla_id}", detail=detail)
        admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


async def remove_sla(context: Context, principal: Principal, sla_id: str) -> WorkflowSla:
    """Remove an SLA without breaches, and return it as it was; raises NotFound and Conflict."""
    act = Act(kind="sla_removed", target=f"sla:{sla_id}")
    return await write_with_act(context.database, principal.acted_by, context.now(), act, definitions.remove, sla_id)


async def sla_window(context: Context, sla_id: str) -> tuple[WorkflowSla, Window]:
    """Return an SLA and the figures of its window that ends now; raises NotFound."""
    now = context.now()

    def read(connection: Connection) -> tuple[WorkflowSla, Window]:
        sla = definitions.get(connection, sla_id)
        return sla, live_window(connection, sla, now)

    return await context.database.read(read)


def _before_window(hours: float, now: datetime) -> datetime:
    return now - timedelta(hours=hours)


def _check_order(facts: SlaFacts) -> None:
    problems = tuple(_wrong_order(facts))
    if problems:
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
            problems=problems,
        )


def _wrong_order(facts: SlaFacts) -> Iterator[Problem]:
    target, warn, critical = (
        facts.target_duration_seconds,
        facts.warning_threshold_seconds,
        facts.critical_threshold_seconds,
    )
    if warn is not None and warn > target:
        yield Problem(
            pointer="/warning_threshold_seconds",
            message=sentence(
                "{given} is above the target of {target} seconds; warn at the target or before",
                given=_text(warn),
                target=_text(target),
            ),
        )
    if critical is not None and critical < target:
        yield Problem(
            pointer="/critical_threshold_seconds",
            message=sentence(
                "{given} is below the target of {target} seconds; write the target or more",
                given=_text(critical),
                target=_text(target),
            ),
        )


def _check_places(connection: Connection, facts: SlaFacts) -> None:
    """Raise InputInvalid where there is no such process, or no such stage in its newest version."""
    try:
        process = processes.find(connection, facts.template)
    except NotFound:
        names = definitions.names_of_processes(connection)
        raise InputInvalid.at(
            "/template",
            sentence(
                "no published process is called {name!r}; {hint}",
                name=facts.template,
                hint=_hint(facts.template, names),
            ),
        ) from None
    if facts.stage is None:
        return
    stages = [str(step.get("stage_name")) for step in process.blueprint.get("process_steps") or ()]
    if facts.stage not in stages:
        raise InputInvalid.at(
            "/stage",
            sentence(
                "{template!r} has no stage {stage!r}; {hint}",
                template=facts.template,
                stage=facts.stage,
                hint=_hint(facts.stage, stages),
            ),
        )


def _hint(wrong: str, known: Iterable[str]) -> str:
    names = list(known)
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wrong.casefold(), list(folded), n=1, cutoff=_NEAR)
    if near:
        return sentence("did you mean {name!r}?", name=folded[near[0]])
    if not names:
        return sentence("there are none yet")
    return sentence("there are: {names}", names=", ".join(names[:_MOST_NAMED]))


def _text(value: object) -> object:
    """Return a value as acts hold it: amounts as text."""
    return f"{value:g}" if isinstance(value, float) else value
