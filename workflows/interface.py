"""What the approval workflow starts with, and what its updates, its queries and its end return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import model_validator

from placet.audit.chain import Entry
from placet.definition.formats.upgrades import upgraded_start
from placet.engine.events import Opening
from placet.engine.state import State
from placet.frozen import stored_as
from placet.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The parent of a sub-process, and the node and visit at which it waits for the result."""

    request_id: str
    node: Annotated[str, stored_as("point")]
    visit: int


TIMER_LEAD = 0.2
"""Seconds by which a timer fires before its moment, so that a worker has the workflow at hand when the moment comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The input of a run. `state` is set where an earlier run of the same request continues as new.

    `parent` is set where another request runs this one as a sub-process. `timer_lead` says how the run arms its timers:
    by so many seconds before their moment, once what happened is recorded. Without it, as runs did that began before
    there was a lead: for the moment itself, while that is still being recorded. `marks_late` says whether a marker in
    history tells that the first task came late. `suggestion_recorded` says whether the results of recordings tell that
    the engine suggests a new run; without it, the run goes by what the engine says at the moment.
    """

    plan: Plan
    opening: Opening
    template_id: str
    state: State | None = None
    parent: Parent | None = None
    timer_lead: float | None = TIMER_LEAD
    marks_late: bool = True
    suggestion_recorded: bool = True

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_start(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The state of a request, which an update returns once its effects are recorded."""

    seq: int
    head: str
    status: str
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The entries of this run (those of earlier runs are in the store), and the head of the chain."""

    entries: tuple[Entry, ...]
    head: str
