"""Recordings: what is stored of a request after an event: its state and its new entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from placet.audit.chain import Entry
from placet.engine.bound_action import BoundAction
from placet.engine.state import ActionClaim, Notification, Question, State, Status, Task
from placet.frozen import stored_as
from placet.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What one event left behind: new entries and notifications, and the projection of the state after them.

    It is the input of a local activity, which no history holds: the process that made it reads it. `entries` are
    consecutive and end with the entry whose seq and hash are `seq` and `head`; `tasks` are the tasks of the request
    that its state keeps, oldest first.
    """

    request_id: str
    template_id: str
    template: str
    version: str
    owner: str | None
    title: str
    requester: str
    input: dict[str, Any]
    status: Status
    outcome: str | None
    stage: str | None
    round: int
    returned: bool
    started_at: datetime
    ended_at: datetime | None
    seq: int
    head: str
    tasks: tuple[Task, ...]
    entries: tuple[Entry, ...]
    notifications: Annotated[tuple[Notification, ...], stored_as("notices")]
    sealed: bool  # whether the request's content is sealed; then its times are history's own, too
    revision: int
    content_digest: str
    opened: int  # tasks that there ever were
    changed: tuple[str, ...]  # ids of the tasks that are not stored as they are
    questions: tuple[Question, ...] = ()
    open_questions: int = 0
    action: BoundAction | None = None
    started_by: str | None = None
    claim: ActionClaim | None = None
    principal: str | None = None  # whom the agent acts for that entered it
    task_began: datetime | None = None  # when the workflow task began in which it is recorded; the recorder adds it
    in_history: bool = False  # whether history is known to hold the workflow task that has computed it


def recording_of(
    plan: Plan,
    template_id: str,
    state: State,
    entries: Iterable[Entry],
    notifications: Iterable[Notification],
    *,
    stored: Mapping[str, Task],
) -> Recording:
    """Return what is written of a request once something has happened: these entries and notifications are new.

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
        notifications=tuple(notifications),
        sealed=state.follows.sealed,
        opened=state.opened,
        changed=tuple(task.id for task in state.tasks if stored.get(task.id) != task),
        questions=state.questions,
        open_questions=len(state.open_questions),
        action=state.action,
        started_by=state.started_by,
        claim=state.claim,
        principal=state.principal,
    )
