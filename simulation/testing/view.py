"""What a simulated request looks like at a time: its state, its entries and notifications up to then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from placet.audit.chain import Entry
from placet.engine.state import Notification, State
from placet.plan.plan import Plan
from simulation.run.driver import Trace

ENDED = "end"
"""What skips a stage that the request never came to before it ended."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A request at a time; `whole` is its trace, of which nothing later than `state` is seen."""

    plan: Plan
    whole: Trace
    state: State

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The entries up to then."""
        return tuple(entry for entry in self.whole.entries if entry.seq <= self.state.seq)

    def after(self, moment: datetime) -> timedelta:
        """Return how long after the start a moment is."""
        return moment - self.whole.started_at

    def notifications(self, event: str) -> Iterator[tuple[Notification, timedelta, str | None]]:
        """Yield the notifications of an event up to then, each with its time after the start and its stage."""
        by_seq = {entry.seq: entry for entry in self.entries}
        for one in self.whole.notifications:
            if one.event == event and one.seq in by_seq:
                entry = by_seq[one.seq]
                yield one, self.after(entry.at), entry.stage

    @property
    def open_tasks(self) -> dict[str, set[str]]:
        """The people whom the open tasks of each stage wait for."""
        found: dict[str, set[str]] = {}
        for task in self.state.tasks:
            if task.status == "open":
                found.setdefault(task.stage, set()).update(task.people)
        return found

    @property
    def stages(self) -> dict[str, str]:
        """The last result of each stage that has one."""
        settled = (entry for entry in self.entries if entry.kind == "stage_settled")
        return {entry.stage or "": str(entry.detail.get("result")) for entry in settled}

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that were run, in their order."""
        return tuple(str(entry.detail["action"]) for entry in self.entries if entry.kind == "action_run")

    @property
    def skipped(self) -> dict[str, str]:
        """The stages that the request does not come to, each with the decision that led past it, or `end`."""
        came = {entry.stage for entry in self.entries if entry.stage is not None}
        routed = [entry.detail for entry in self.entries if entry.kind == "routed"]
        found: dict[str, str] = {}
        for node, stage in self.plan.stages_by_node.items():
            if stage.name in came:
                continue
            past = [
                detail["node"]
                for detail in routed
                if node not in self._ahead(detail["to"])
                and any(node in self._ahead(edge.target) for edge in self.plan.nodes[detail["node"]].edges)
            ]
            if past:
                found[stage.name] = past[-1]
            elif self.state.status != "pending":
                found[stage.name] = ENDED
        return found

    def _ahead(self, node: str) -> set[str]:
        """Return a node and all that can come after it."""
        found, pending = {node}, [node]
        while pending:
            for edge in self.plan.nodes[pending.pop()].edges:
                if edge.target not in found:
                    found.add(edge.target)
                    pending.append(edge.target)
        return found
