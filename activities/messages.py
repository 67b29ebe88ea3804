"""What travels between the workflow and its activities: one frozen value for each input and result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import model_validator

from placet.definition.actions import ActionCall, ActionSpec
from placet.definition.upgrades import upgraded_answer
from placet.directory import Directory
from placet.frozen import stored_as


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    """Ask for the directory as it is now: for these names (placet.definition.assignees) and people; `at` is when."""

    names: tuple[str, ...]
    people: tuple[str, ...]
    given: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResult:
    """The answer to LookUp, with its `at`: so history holds the time as well. None: the history is from before."""

    directory: Directory
    at: datetime | None

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_answer(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCheck:
    """Ask whether a signal's token stands for this decision by this person on this task and round, `at` this time."""

    token: str
    task_id: str
    decision: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerdict:
    """The answer to TokenCheck, with its `at`: the person it stands for, or why it does not hold (`code`, `reason`).

    `hand_overs` is how often the task had changed hands when the token was made, and `revision` what it was made for.
    `at` is None in histories from before it was told.
    """

    person: str | None
    round: int | None
    reason: str | None
    at: datetime | None
    code: str | None
    hand_overs: int | None
    revision: int | None

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_answer(raw, code=None, hand_overs=None, revision=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResult:
    """What a sub-process came to, for the node and visit at which its parent waits: what is signed."""

    parent: str
    node: Annotated[str, stored_as("point")]
    visit: int
    child: str
    outcome: str
    output: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResultCheck:
    """Ask whether an ending was signed here, `at` this time."""

    ending: SubprocessResult
    signature: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessResultVerdict:
    """The answer to EndingCheck, with its `at`: None, or the code of why it does not hold."""

    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessQuery:
    """Ask how a sub-process ended, by its request id."""

    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubprocessOutcome:
    """The answer to ChildQuestion: its outcome, `failed` where it has none, and its variables.

    None where nobody looks, for it tells by itself: in a rehearsal.
    """

    outcome: str | None
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """Ask for one execution of a catalog action: `spec` is as the plan froze it, `call` what the request asks for."""

    spec: ActionSpec
    call: ActionCall
