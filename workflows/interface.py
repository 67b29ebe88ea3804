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
    """The request that runs another as a sub-process, and the node and visit at which it waits for it."""

    request_id: str
    node: Annotated[str, stored_as("point")]
    visit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a run starts with. `state` is set where an earlier run of the same request continues as new.

    `parent` is set where another request runs this one as a sub-process.
    """

    plan: Plan
    opening: Opening
    template_id: str
    state: State | None = None
    parent: Parent | None = None

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_start(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an update answers once its effects are recorded: where the request stands."""

    seq: int
    head: str
    status: str
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The entries that this run holds (those of earlier runs are in the store), and the chain's head."""

    entries: tuple[Entry, ...]
    head: str
