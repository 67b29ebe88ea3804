"""What the entries of a chain tell of a request and its tasks: the values that its projection has to have.

Only what is certain is told. A value that an entry no longer holds (it was erased) is not, nor one that changes without
an entry that says so. Before content was sealed, moments were not history's own, so of such a chain none is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from placet.audit.chain import Entry, exact, moment, voids_decision
from placet.audit.sealed import erased

ENDINGS: Final = {"completed": "completed", "failed": "failed", "withdrawn": "cancelled", "cancelled": "cancelled"}
"""How a request ends: the kind of its last entry, and the status that goes with it."""
UNDECIDED: Final = ("decision", "decided_by", "decided_at", "comment", "form", "on_behalf_of", "signature")
_DECIDING: Final = {"decided", "changes_requested"}
_REVISING: Final = {"started", "attached", "resubmitted"}  # entries before which the content may have changed


class Fact(NamedTuple):
    """A value, and the number of the entry that tells it."""

    seq: int
    value: Any


Facts = dict[str, Fact]


@dataclass(slots=True)
class Told:
    """What is told of a request, and of each of its tasks by id: values by the names of their columns.

    People are bare ids, moments are aware, and the rest is as JSON has it.
    """

    request: Facts = field(default_factory=dict)
    tasks: dict[str, Facts] = field(default_factory=dict)


def told_by(entries: Sequence[Entry]) -> Told:
    """Return what the entries of a valid chain tell, of which there is at least one."""
    telling = _Telling(entries[0])
    for entry in entries:
        telling.take(entry)
    return telling.told


def same(stored: Any, told: Any) -> bool:
    """Say whether a stored JSON value is the one that an entry holds, where numbers that no entry can hold are text."""
    if isinstance(stored, dict) and isinstance(told, dict):
        return stored.keys() == told.keys() and all(same(value, told[name]) for name, value in stored.items())
    if isinstance(stored, list) and isinstance(told, list):
        return len(stored) == len(told) and all(map(same, stored, told))
    if isinstance(stored, float) and not isinstance(told, bool) and isinstance(told, str | int):
        with contextlib.suppress(ValueError, OverflowError):
            return float(told) == stored
    stored = exact(stored)
    return type(stored) is type(told) and bool(stored == told)


class _Telling:
    """Reads entry after entry."""

    def __init__(self, first: Entry) -> None:
        self.told = Told()
        self._timed = bool(first.salts) or erased(first.detail.get("title"))
        self._tell("ended_at", first, None)
        self._tell("claimed_at", first, None)
        self._tell("questions", first, [])

    def take(self, entry: Entry) -> None:
        """Take what the next entry tells."""
        if entry.kind == "started":
            self._start(entry)
        self._title(entry)
        self._input(entry)
        self._content(entry)
        self._move(entry)
        if entry.task_id is None and entry.kind in ENDINGS:
            self._tell("ended_at", entry, entry.at)
            self._tell("stage", entry, None)
        if entry.kind == "claimed" and entry.task_id is None:
            self._tell("claimed_at", entry, entry.at)
        if entry.kind in {"question_asked", "question_answered"}:
            self._question(entry)
        if entry.task_id is not None:
            self._task(entry, entry.task_id)

    def _tell(self, name: str, entry: Entry, value: Any, of: Facts | None = None) -> None:
        """Note a value, or that it is no longer known; a moment only where moments are history's own."""
        facts = self.told.request if of is None else of
        if erased(value) or (name.endswith("_at") and not self._timed):
            facts.pop(name, None)
        else:
            facts[name] = Fact(entry.seq, value)

    def _start(self, entry: Entry) -> None:
        detail = entry.detail
        if isinstance(detail.get("blueprint"), str):
            self._tell("template", entry, detail["blueprint"])
        if isinstance(detail.get("requester"), str):
            self._tell("requester", entry, _person(detail["requester"]))
            self._tell("started_by", entry, _person(entry.actor))
        self._tell("started_at", entry, entry.at)
        self._tell("round", entry, 1)

    def _title(self, entry: Entry) -> None:
        if entry.kind == "started" and entry.detail.get("title") is not None:
            self._tell("title", entry, entry.detail["title"])
        elif entry.kind == "resubmitted" and "title" in _members(entry.detail.get("after")):
            self._tell("title", entry, entry.detail["after"]["title"])

    def _input(self, entry: Entry) -> None:
        """Take the whole input, or the variables that an entry changed: one without a value is unset."""
        before, after = entry.detail.get("before"), entry.detail.get("after")
        if entry.kind == "started":
            self._tell_input(entry, entry.detail.get("input"))
        elif entry.kind == "resubmitted":
            if "input" in (members := _members(after)):
                self._tell_input(entry, members["input"])
        elif entry.kind == "migrated":
            if "input" in (members := _members(after)):
                self._change_input(entry, _members(before).get("input"), members["input"])
        elif entry.task_id is None and after is not None and entry.kind in _SETTING:
            self._change_input(entry, before, after)

    def _tell_input(self, entry: Entry, value: Any) -> None:
        if isinstance(value, dict):
            self._tell("input", entry, value)
        else:
            self.told.request.pop("input", None)

    def _change_input(self, entry: Entry, before: Any, after: Any) -> None:
        known = self.told.request.get("input")
        if known is None:
            return
        if not isinstance(before, dict) or not isinstance(after, dict) or erased(before) or erased(after):
            del self.told.request["input"]
            return
        if names := {*before, *after}:
            changed = {name: after.get(name) for name in names}
            value = {name: one for name, one in {**known.value, **changed}.items() if one is not None}
            self.told.request["input"] = Fact(entry.seq, value)

    def _content(self, entry: Entry) -> None:
        """Take revision and digest. They may have changed before an entry of some kinds, also where it lacks them."""
        if entry.kind == "resubmitted" and isinstance(entry.detail.get("round"), int):
            self._tell("round", entry, entry.detail["round"])
        for name in ("revision", "content_digest"):
            if name in entry.detail and entry.kind in _REVISING | _DECIDING:
                self._tell(name, entry, entry.detail[name])
            elif entry.kind in _REVISING:
                self.told.request.pop(name, None)
        if entry.kind == "started" or (entry.kind == "resubmitted" and "action_digest" in entry.detail):
            self._tell("action_digest", entry, entry.detail.get("action_digest"))

    def _move(self, entry: Entry) -> None:
        """Take the version that a request follows; its digest of before is of another."""
        followed = entry.detail if entry.kind == "started" else _members(entry.detail.get("after"))
        if entry.kind in {"started", "migrated"}:
            for name, column in (("version", "version"), ("digest", "definition")):
                if isinstance(followed.get(name), str):
                    self._tell(column, entry, followed[name])
                else:
                    self.told.request.pop(column, None)
        if entry.kind == "migrated":
            self.told.request.pop("content_digest", None)

    def _question(self, entry: Entry) -> None:
        known, number = self.told.request.get("questions"), entry.detail.get("question")
        if known is None or not isinstance(number, int) or not 0 < number <= len(known.value) + 1:
            self.told.request.pop("questions", None)
            return
        questions: list[dict[str, Any]] = [*known.value]
        at, text = {"at": moment(entry.at)} if self._timed else {}, entry.detail.get("why")
        if entry.kind == "question_asked":
            asked = {"n": number, "task_id": entry.task_id, "asked_by": _person(entry.actor), "text": text}
            questions.append({**asked, "answer": None, **{f"asked_{name}": value for name, value in at.items()}})
        else:
            answer = {"answer": text, **{f"answered_{name}": value for name, value in at.items()}}
            questions[number - 1 : number] = [{**questions[number - 1], **answer}]
        self._tell("questions", entry, questions)

    def _task(self, entry: Entry, task_id: str) -> None:
        detail, kind = entry.detail, entry.kind
        if kind == "task_opened":
            of = self.told.tasks[task_id] = {}
            self._tell("stage", entry, entry.stage, of)
            self._tell("opened_at", entry, entry.at, of)
            self._tell("status", entry, "open", of)
            self._tell("assignee", entry, _person(detail.get("assignee")), of)
            if isinstance(detail.get("round"), int):
                self._tell("round", entry, detail["round"], of)
            self._undecided(entry, of)
            return
        if task_id not in self.told.tasks:
            return
        of = self.told.tasks[task_id]
        if kind in _DECIDING:
            self._decided(entry, of)
        elif voids_decision(kind, detail):
            self._undecided(entry, of)
        if kind == "decision_undone":
            self._tell("status", entry, "open", of)
        elif kind == "task_closed" and isinstance(detail.get("after"), str):
            self._tell("status", entry, detail["after"], of)
        elif kind == "approver_missing":
            self._tell("assignee", entry, None, of)
        elif "assignee" in _members(detail.get("after")):
            self._tell("assignee", entry, _person(detail["after"]["assignee"]), of)

    def _decided(self, entry: Entry, of: Facts) -> None:
        detail, why = entry.detail, entry.detail.get("why")
        self._tell("status", entry, "decided", of)
        self._tell("decision", entry, detail.get("decision"), of)
        self._tell("decided_by", entry, _person(entry.actor), of)
        self._tell("decided_at", entry, entry.at, of)
        self._tell("on_behalf_of", entry, _person(detail.get("on_behalf_of")), of)
        # An approval that was carried over is of no round; its reason is ours, in words before there were codes.
        own = "round" in detail
        self._tell("comment", entry, why if own or erased(why) else None, of)
        for name in ("form", "signature"):
            self._tell(name, entry, detail.get(name), of)
        for name in ("revision", "content_digest"):
            if name in detail:
                self._tell(name, entry, detail[name], of)

    def _undecided(self, entry: Entry, of: Facts) -> None:
        for name in UNDECIDED:
            self._tell(name, entry, None, of)
        for name in ("revision", "content_digest"):
            of.pop(name, None)


_SETTING: Final = frozenset(
    {"action_run", "action_kept", "child_ended", "child_kept", "event_received", "stage_settled"}
)


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) and not erased(value) else {}


def _person(value: Any) -> str | None:
    return value.removeprefix("user:") if isinstance(value, str) else None
