"""The course of a case: which stages were asked, in which rounds, what each decided, and how the case ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from insight.event_logs.cases import CaseEvent, LoggedCase, what_happened
from insight.event_logs.labels import Label

Decision = Literal["approve", "reject", "request_changes"]
_NONE: Final = Label(kind="step")


@dataclass(slots=True, kw_only=True)
class Visit:
    """One decision of a stage: `opened` and `at` are milliseconds since 1970, `round` counts from 1.

    `opened` is when the stage began to wait: from its own event that says so, else from the event before.
    """

    stage: str
    decision: Decision
    round: int
    opened: int
    at: int
    person: str | None
    said: bool = True  # whether the activity's name says the decision; else it shows in what follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A case as the history of a request. `values` are its first attributes.

    `resubmitted` are the moments at which it came again, one for each round after the first, and `changed` what was new
    then. `submitted` says whether it was sent in at all, or remained a draft. `unclear` are the stages of which nothing
    says what they decided in the end; a case that has one has no outcome.
    """

    case: str
    began: int
    ended: int
    requester: str | None
    values: Mapping[str, str]
    visits: tuple[Visit, ...]
    resubmitted: tuple[int, ...]
    changed: tuple[Mapping[str, str], ...]
    outcome: Literal["approved", "rejected"] | None
    submitted: bool
    unclear: tuple[str, ...] = ()

    def rounds(self) -> tuple[tuple[Visit, ...], ...]:
        """Return the visits of each round."""
        count = max((visit.round for visit in self.visits), default=0)
        return tuple(tuple(one for one in self.visits if one.round == n) for n in range(1, count + 1))


def course_of(case: LoggedCase, labels: Mapping[str, Label]) -> Course:
    """Read the course of a case.

    A rejection after which the case goes on returned it for changes; one that is followed by nothing rejected it.
    """
    reading = _Reading()
    before: int | None = None
    for event, since in what_happened(case):
        opened = since if since is not None else before if before is not None else event.at
        reading.take(event, labels.get(event.activity, _NONE), opened)
        before = event.at
    visits = reading.visits
    last = visits[-1] if visits else None
    for visit in visits:
        if visit is not last and visit.decision == "reject":
            visit.decision = "request_changes"
    if last is not None and last.decision == "reject" and reading.resubmitted and reading.resubmitted[-1] > last.at:
        last.decision = "request_changes"
    outcome: Literal["approved", "rejected"] | None = None
    if last is not None and last.decision != "request_changes" and not reading.unclear:
        outcome = "approved" if last.decision == "approve" else "rejected"
    return Course(
        case=case.id,
        began=reading.began if reading.began is not None else case.events[0].at,
        ended=case.events[-1].at,
        requester=reading.requester,
        values=reading.values,
        visits=tuple(visits),
        resubmitted=tuple(reading.resubmitted),
        changed=tuple(reading.changed),
        outcome=outcome,
        submitted=reading.began is not None or bool(visits),
        unclear=tuple(reading.unclear),
    )


class _Reading:
    """A case while its events are taken, one after the other."""

    def __init__(self) -> None:
        self.began: int | None = None
        self.requester: str | None = None
        self.values: dict[str, str] = {}
        self.visits: list[Visit] = []
        self.resubmitted: list[int] = []
        self.unclear: dict[str, None] = {}
        self.changed: list[dict[str, str]] = []
        self._round = 1
        self._pending: dict[str, str] = {}  # attributes that are new since the last round began

    def take(self, event: CaseEvent, label: Label, opened: int) -> None:
        """Take the next event."""
        self._pending.update(event.changed)
        if not self.visits:
            for name, value in event.changed.items():
                self.values.setdefault(name, value)
        match label.kind:
            case "start":
                self._start(event)
            case "approve" | "reject" | "return" if label.stage:
                decision: Decision = (
                    "approve" if label.kind == "approve" else "reject" if label.kind == "reject" else "request_changes"
                )
                self._visit(event, label.stage, decision, opened, said=True)
            case "visit":
                self._visit(event, label.stage, "approve", opened, said=False)
            case "unclear":
                self._unclear(label.stage)
            case "outcome_approve" | "outcome_reject" | "return":
                self._outcome(label)
            case _:
                pass

    def _start(self, event: CaseEvent) -> None:
        if self.began is None:
            self.began, self.requester = event.at, event.person
            self._pending = {}
        elif self.visits:
            if self.visits[-1].round == self._round:
                self._again(event.at)
            else:
                self.resubmitted[-1] = event.at

    def _visit(self, event: CaseEvent, stage: str, decision: Decision, opened: int, *, said: bool) -> None:
        self.unclear.pop(stage, None)
        last = self.visits[-1] if self.visits else None
        if last is not None and last.round == self._round and last.decision != "approve":
            self._again(last.at)  # it goes on after a rejection, though nobody is seen to send it again
        self.visits.append(
            Visit(
                stage=stage,
                decision=decision,
                round=self._round,
                opened=opened,
                at=event.at,
                person=event.person,
                said=said,
            )
        )

    def _unclear(self, stage: str) -> None:
        """Take note that nothing says how a stage decided; without a stage, that is the one that decided last."""
        if not stage and self.visits and not self.visits[-1].said:
            stage = self.visits.pop().stage
        if stage:
            self.unclear[stage] = None

    def _outcome(self, label: Label) -> None:
        if self.visits and not self.visits[-1].said and not self.unclear:
            last = self.visits[-1]
            last.said = True
            if label.kind != "outcome_approve":
                last.decision = "reject" if label.kind == "outcome_reject" else "request_changes"

    def _again(self, at: int) -> None:
        self._round += 1
        self.resubmitted.append(at)
        self.changed.append(self._pending)
        self._pending = {}
