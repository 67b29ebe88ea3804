"""The inputs and results of the activities: one frozen value for each. Their JSON names are those in histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import model_validator

from placet.definition.action_spec import ActionCall, ActionSpec
from placet.definition.formats.upgrades import upgraded_answer
from placet.directory import Directory
from placet.engine.events import ActorType
from placet.frozen import stored_as


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    """Ask for the directory as it is now, as far as these names (placet.definition.assignees) and people need it.

    `at` is the time of the question, and `given` the request's input. `due` is a moment that comes within
    `activities.due_moment.LONGEST_WAIT`, at which the directory is to be read. `loads` asks how many tasks everyone has
    open, which is 0 for all without it.
    """

    names: tuple[str, ...]
    people: tuple[str, ...]
    given: dict[str, Any]
    at: datetime
    due: datetime | None = None
    loads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResult:
    """The answer to DirectoryQuery, with its `at`, so that history holds the time; None in older histories."""

    directory: Directory
    at: datetime | None

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_answer(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMoment:
    """A moment that a workflow is woken for a little ahead of; `at` is the time of the question."""

    at: datetime
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCheck:
    """Ask whether the token of a signal allows this decision on this task; `at` is the time of the question."""

    token: str
    task_id: str
    decision: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerdict:
    """The answer to TokenCheck, with its `at`: the person of the token, or why it is invalid (`code`, `reason`).

    `hand_overs` is how often the task had changed hands when the token was made, `revision` the revision that it is
    for. `at` is None in older histories.
    """

    person: str | None
    round: int | None
    reason: str | None
    at: datetime | None
    code: str | None
    hand_overs: int | None
    revision: int | None
    actor_type: ActorType = "person"

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_answer(raw, code=None, hand_overs=None, revision=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResult:
    """The result of a sub-process, for the node and visit at which its parent waits. The signature covers all of it."""

    parent: str
    node: Annotated[str, stored_as("point")]
    visit: int
    child: str
    outcome: str
    output: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResultCheck:
    """Ask whether the result of a sub-process carries a valid signature; `at` is the time of the question."""

    ending: SubprocessResult
    signature: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResultVerdict:
    """The answer to SubprocessResultCheck, with its `at`: None, or the code of why the result is refused."""

    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessQuery:
    """Ask how a sub-process ended, by its request id."""

    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessOutcome:
    """The answer to SubprocessQuery: the outcome (`failed` where there is none) and the variables.

    The outcome is None in rehearsals, in which sub-processes always send their result by signal.
    """

    outcome: str | None
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """Ask for one execution of a catalog action: its `spec` as the plan holds it, and the `call` with its input."""

    spec: ActionSpec
    call: ActionCall


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTurn:
    """Ask for a turn of sending what waits for one channel, or of planning what waits for any."""

    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTurnEnd:
    """Why a turn ended, and when.

    `stopping`: its worker stops. `recovered`: it began after a failure, which is over. `not_set_up`: the worker has no
    settings for the channel.
    """

    why: Literal["stopping", "recovered", "not_set_up"]
    at: datetime
