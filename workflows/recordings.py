"""Recordings: what `record` writes of a request, made of its state and of what is new in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.messages import Recording
from placet.audit import Entry
from placet.plan import Plan
from placet.state import Notice, State, Task


def recording_of(
    plan: Plan,
    template_id: str,
    state: State,
    entries: Iterable[Entry],
    notices: Iterable[Notice],
    *,
    stored: Mapping[str, Task],
) -> Recording:
    """Return what is written of a request once something has happened: these entries and notices are new.

    `stored` are the tasks, by id, as this run recorded them last.
    """
    return Recording(
        request_id=state.request_id,
        template_id=template_id,
        template=plan.name,
        version=plan.version,
        owner=plan.owner,
        title=state.title,
        requester=state.requester,
        input=state.input,
        status=state.status,
        outcome=state.outcome,
        stage=state.stage,
        round=state.round,
        returned=any(s.returned_at for s in state.stages),
        revision=state.revision,
        content_digest=state.content_digest,
        started_at=state.started_at,
        ended_at=state.ended_at,
        seq=state.seq,
        head=state.head,
        tasks=state.tasks,
        entries=tuple(entries),
        notices=tuple(notices),
        sealed=bool(state.secret),
        opened=max(state.opened, len(state.tasks)),
        changed=tuple(task.id for task in state.tasks if stored.get(task.id) != task),
    )
