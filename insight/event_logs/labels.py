"""What the names of activities say: who begins, who decides and how, and what is only a step.

`Declaration APPROVED by SUPERVISOR` is a decision of the stage SUPERVISOR; `Manager Approval` is a stage whose result
shows in what follows. The rules are stated, so that a log whose activities have other names can be renamed to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["start", "draft", "approve", "reject", "return", "visit", "outcome_approve", "outcome_reject", "step"]
"""What an activity is.

A `visit` is a stage whose decision is not in its name, an `outcome` the end of the stage before it, a `step` nobody's
decision.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_APPROVE: Final = _words(
    "approve approved approves accept accepted grant granted authorize authorized authorise authorised confirm "
    "confirmed endorse endorsed genehmigt genehmigen freigegeben freigeben bewilligt zugestimmt"
)
_REJECT: Final = _words(
    "reject rejected rejects rejection decline declined deny denied refuse refused disapprove disapproved abgelehnt "
    "ablehnen ablehnung zurückgewiesen"
)
_RETURN: Final = _words("return returned rework revise revision zurückgegeben nachbessern")
_SUBMIT: Final = _words(
    "submit submitted submits submission resubmit resubmitted eingereicht einreichen beantragt beantragen"
)
_START: Final = _words(
    "create created register registered receive received file filed request requested open opened erstellt"
)
_DRAFT: Final = _words("save saved draft drafted gespeichert entwurf")
_STEP: Final = _words(
    "pay paid payment handled handle notify notified notification send sent mail email book booked archive archived "
    "close closed complete completed end ended finish finished print printed transfer transferred ship shipped "
    "scheduled schedule export exported reminder system cancel cancelled canceled withdrawn withdraw bezahlt"
)
_NOUNS: Final = _words("approval decision review check sign off signoff final by of from the a an for")
_OBJECTS: Final = _words(
    "request application case declaration claim order invoice purchase expense document requisition ticket travel "
    "permit loan leave antrag rechnung bestellung"
)
_SYSTEM: Final = re.compile(r"(?i)^(system|batch|robot|bot|service|automatic|auto|workflow|rpa)\b|\bsystem$")
_WORD: Final = re.compile(r"[^\W_]+")
_BY: Final = re.compile(r"(?i)\bby[\s_]+(.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one activity is, and the stage that it belongs to; "" where it belongs to none."""

    kind: Kind
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How often an activity was seen: at all, as the first of a case, and by a machine."""

    count: int
    first: int = 0
    by_machines: int = 0


def is_machine(person: str | None) -> bool:
    """Say whether the name of who acts is that of a system."""
    return person is not None and _SYSTEM.search(person) is not None


def labels_of(seen: Mapping[str, Seen]) -> dict[str, Label]:
    """Label the activities of a log, by how often each was seen."""
    read = {activity: _read(activity) for activity in seen}
    requester = {key for kind, key, _ in read.values() if kind == "start" and key}
    stages = _stages(read, seen, requester)
    labelled: dict[str, Label] = {}
    for activity, (kind, key, name) in read.items():
        if kind in {"approve", "reject", "return"}:
            labelled[activity] = _decision(kind, key, name, stages, requester)
        elif kind == "visit" and key in stages and not _by_machines(seen[activity]):
            labelled[activity] = Label(kind="visit", stage=stages[key])
        elif kind == "visit":
            labelled[activity] = Label(kind="step")
        else:
            labelled[activity] = Label(kind=kind)
    if not any(label.kind == "start" for label in labelled.values()):
        first = max(seen, key=lambda activity: (seen[activity].first, activity), default=None)
        total = sum(one.first for one in seen.values())
        if first is not None and labelled[first].kind in {"visit", "step"} and 2 * seen[first].first > total:
            labelled[first] = Label(kind="start")
    return labelled


def _stages(read: Mapping[str, tuple[Kind, str, str]], seen: Mapping[str, Seen], requester: set[str]) -> dict[str, str]:
    """Return the stages by what identifies them, each with its name: the longest that an activity gives it."""
    names: dict[str, str] = {}
    for activity, (kind, key, name) in read.items():
        if kind == "visit" and not _by_machines(seen[activity]):
            names[key] = name
    for kind, key, name in read.values():
        if kind == "approve" and key not in requester:
            names.setdefault(key, name)
    named = {key: name for key, name in names.items() if key}
    # `Approved` alone ends what is asked before it; where nothing else is asked, it is the one stage.
    return named or {"": "Approval"}


def _decision(kind: Kind, key: str, name: str, stages: Mapping[str, str], requester: set[str]) -> Label:
    if key in requester:
        return Label(kind="step")  # the requester takes note of what was decided
    if key in stages:
        return Label(kind=kind, stage=stages[key])
    if not key:
        return Label(
            kind="outcome_approve" if kind == "approve" else "outcome_reject" if kind == "reject" else "return"
        )
    return Label(kind=kind, stage=name)


def _read(activity: str) -> tuple[Kind, str, str]:
    """Return what an activity is by its own words, what identifies its stage, and how that is called."""
    words = _WORD.findall(activity)
    lower = [word.lower() for word in words]
    kind = _kind(lower)
    by = _BY.search(activity)
    if by is not None:
        name = by[1].strip(" _")
        return kind, " ".join(word.lower() for word in _WORD.findall(name)), name
    deciding = _APPROVE | _REJECT | _RETURN | _SUBMIT | _START
    kept = [word for word in words if word.lower() not in deciding | _NOUNS]
    key = " ".join(word.lower() for word in kept if word.lower() not in _OBJECTS)
    if kind == "visit":
        return kind, key or " ".join(lower), activity
    return kind, key, " ".join(kept) if key else "Approval"


def _kind(words: list[str]) -> Kind:
    there = set(words)
    if there & _REJECT:
        return "reject"
    if there & _RETURN:
        return "return"
    if there & _APPROVE:
        return "approve"
    if there & _SUBMIT:
        return "start"
    if there & _DRAFT:
        return "draft"
    if there & _STEP:
        return "step"
    if there & _START and not there & {"approval", "review", "check", "decision"}:
        return "start"
    return "visit"


def _by_machines(seen: Seen) -> bool:
    return 2 * seen.by_machines > seen.count
