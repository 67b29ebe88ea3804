"""How far a request has come in its process: read from its audit entries, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from web.graph.process_graph import ProcessGraph

Standing = Literal["done", "now", "ended", "ahead"]
"""Of a node: passed, going on now, broken off, or not reached."""

_RESULTS = {"action_run": "done", "action_kept": "done", "action_failed": "failed", "child_failed": "failed"}
# What ends where the request starts again; the entries of that come after the one that says so.
_OF_THE_PAST = {"branch_ended", "task_closed"}
# Where the entry says the result itself, and the member that says it.
_SAID = {"waited": "result", "child_ended": "outcome", "child_kept": "outcome"}


class AuditEntry(Protocol):
    """What is read of an entry."""

    @property
    def at(self) -> datetime:
        """When it happened."""

    @property
    def kind(self) -> str:
        """What happened."""

    @property
    def stage(self) -> str | None:
        """The stage where it happened, if at one."""

    @property
    def detail(self) -> dict[str, Any]:
        """What it says besides."""


@dataclass(slots=True)
class Visit:
    """What happened at a node: since when, until when, and its result; `times` it was entered since the last start."""

    standing: Standing = "ahead"
    since: datetime | None = None
    until: datetime | None = None
    result: str | None = None
    times: int = 0
    signatures: list[Any] = field(default_factory=list)  # of the decisions since the last start, as entries hold them


@dataclass(slots=True)
class Progress:
    """The visit of each node that was reached, and the numbers of the edges that were taken."""

    visits: dict[str, Visit] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def standing(self, node: str) -> Standing:
        """Return how things stand at a node."""
        return self.visits[node].standing if node in self.visits else "ahead"


def progress_of(graph: ProcessGraph, rows: Iterable[AuditEntry]) -> Progress:
    """Return how far a request has come. What entries say of nodes that are not in the graph is passed over: the
    request may have moved here from another version.
    """
    walk = _Walk(graph)
    for row in rows:
        walk.take(row)
    return walk.now()


class _Walk:
    """A walk over the graph along the entries of one request."""

    def __init__(self, graph: ProcessGraph) -> None:
        self._graph = graph
        self._start = next((node.id for node in graph.nodes if node.kind == "trigger"), None)
        self._again: datetime | None = None  # it starts again, once what went on has been ended
        self.progress = Progress()

    def now(self) -> Progress:
        """Return how far it has come by the entries so far."""
        if self._again is not None:
            at, self._again, self.progress = self._again, None, Progress()
            self._begin(at)
        return self.progress

    def take(self, row: AuditEntry) -> None:
        """Take the next entry."""
        node = row.detail.get("node")
        if row.kind not in _OF_THE_PAST:
            self.now()
        match row.kind:
            case "started":
                self._begin(row.at)
            case "resubmitted" if row.detail.get("restarts") is True:
                self._again = row.at
            case "task_opened" if row.stage is not None:
                self._opened(row.stage, row.at)
            case "decided" | "changes_requested" if row.stage is not None and "signature" in row.detail:
                self._signed(row.stage, row.detail["signature"])
            case "stage_settled" if row.stage is not None:
                self._settled(row.stage, str(row.detail.get("result") or ""), row.at)
            case "withdrawn" | "cancelled" | "failed" | "completed":
                self._end(row.at)
            case _ if isinstance(node, str):
                self._at(node, row)

    def _at(self, node: str, row: AuditEntry) -> None:
        """Take an entry that names its node."""
        match row.kind:
            case "branch_ended":
                self._close(node, row.at, None, standing="ended")
            case "routed":
                self._to(node, row.detail.get("to"), row.at)
            case "forked" | "joined" | "informed":
                self._all(node, row.at)
            case "action_kept" if "after" not in row.detail:
                return  # it runs on
            case kind if kind in _SAID:
                self._result(node, str(row.detail.get(_SAID[kind]) or ""), row.at)
            case kind if kind in _RESULTS:
                self._result(node, _RESULTS[kind], row.at)

    def _begin(self, at: datetime) -> None:
        if self._start is not None:
            self._enter(self._start, at)

    def _enter(self, name: str, at: datetime) -> None:
        node = self._graph.node[name]
        visit = self.progress.visits.setdefault(name, Visit())
        visit.standing, visit.since, visit.until, visit.times = "now", at, None, visit.times + 1
        if node.kind == "trigger":
            self._all(name, at)
        elif node.kind == "terminator":
            self._close(name, at, None)

    def _leave(self, numbers: Iterable[int], at: datetime) -> None:
        for number in numbers:
            self.progress.taken.add(number)
            self._enter(self._graph.edges[number].target, at)

    def _close(self, name: str, at: datetime, result: str | None, *, standing: Standing = "done") -> None:
        if name not in self._graph.node:
            return
        visit = self.progress.visits.setdefault(name, Visit(since=at, times=1))
        visit.standing, visit.until, visit.result = standing, at, result

    def _all(self, name: str, at: datetime) -> None:
        self._close(name, at, None)
        self._leave(self._graph.leaving.get(name, ()), at)

    def _to(self, name: str, target: object, at: datetime) -> None:
        self._close(name, at, None)
        leaving = [n for n in self._graph.leaving.get(name, ()) if self._graph.edges[n].target == target]
        self._leave(leaving[:1], at)

    def _result(self, name: str, result: str, at: datetime) -> None:
        self._close(name, at, result)
        leaving = self._graph.leaving.get(name, ())
        named = [n for n in leaving if self._graph.edges[n].on == result]
        plain = [n for n in leaving if self._graph.edges[n].on is None and result not in {"rejected", "failed"}]
        self._leave((named or plain)[:1], at)

    def _opened(self, stage: str, at: datetime) -> None:
        """Put a request that came from another version where its stage is."""
        asking = [node.id for node in self._graph.nodes if node.stage == stage]
        if asking and not any(self.progress.standing(name) == "now" for name in asking):
            self._enter(asking[0], at)

    def _settled(self, stage: str, result: str, at: datetime) -> None:
        asking = [node.id for node in self._graph.nodes if node.stage == stage]
        now = [name for name in asking if self.progress.standing(name) == "now"]
        for name in (now or asking)[:1]:
            self._result(name, result, at)

    def _signed(self, stage: str, signature: object) -> None:
        for node in self._graph.nodes:
            if node.stage == stage and self.progress.standing(node.id) == "now":
                self.progress.visits[node.id].signatures.append(signature)

    def _end(self, at: datetime) -> None:
        for visit in self.progress.visits.values():
            if visit.standing == "now":
                visit.standing, visit.until = "ended", at
