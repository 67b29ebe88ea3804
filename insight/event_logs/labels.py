"""What the names of activities say: who begins, who decides and how, and what is only a step.

`Declaration APPROVED by SUPERVISOR` is a decision of the stage SUPERVISOR; `Manager Approval` is a stage whose result
shows in what follows. The rules are stated, so that a log whose activities have other names can be renamed to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal[
    "start", "draft", "approve", "reject", "return", "visit", "unclear", "outcome_approve", "outcome_reject", "step"
]
"""What an activity is.

A `visit` is a stage whose decision is not in its name, `unclear` what does not say how a stage decided whose other
activities do, an `outcome` the end of the stage before it, a `step` nobody's decision.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_APPROVE: Final = _words(
    "approve approved approves accept accepted grant granted authorize authorized authorise authorised confirm "
    "confirmed endorse endorsed genehmigt genehmigen freigegeben freigeben bewilligt zugestimmt approuvé approuvée"
)
_REJECT: Final = _words(
    "reject rejected rejects rejection decline declined declines deny denied denies refuse refused refuses refusal "
    "disapprove disapproved disapproves unapproved veto vetoed vetoes abgelehnt ablehnen ablehnung lehnt lehnte "
    "verweigert zurückgewiesen refusé refusée rejeté rejetée"
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
_NOUNS: Final = _words("approval decision review check sign off signoff final by of from the a an for ab")
_NOT: Final = _words("not never nicht nie niemals non pas")  # before a word, they say its contrary
_NO: Final = _words("no false nein non faux")  # after a word, they say its contrary: `Approved? No`
_NEGATION: Final = (
    _NOT | _NO | _words("cannot unable without failed kein keine keinen keiner ne sans ohne")
)  # these leave open what was decided instead
_OPEN: Final = _words("yet required needed necessary noch bisher erforderlich nötig notwendig can could may must")
_AUXILIARY: Final = _words(
    "do does did to be been is was are has have had will would can could may must wurde wird hat"
)
_OBJECTS: Final = _words(
    "request application case declaration claim order invoice purchase expense document requisition ticket travel "
    "permit loan leave antrag rechnung bestellung"
)
_SYSTEM: Final = re.compile(r"(?i)^(system|batch|robot|bot|service|automatic|auto|workflow|rpa)\b|\bsystem$")
_WORD: Final = re.compile(r"[^\W_]+")
_SHORTENED: Final = re.compile(r"(?i)(?:\b(can)|n)['\u2019]t\b")  # `didn't`, `can't`
_BY: Final = re.compile(r"(?i)(?:\b|_)(?:by|durch|par)[\s_]+(.+)$")


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


class _Words(NamedTuple):
    """What an activity is by its own words, what identifies its stage, how that is called, and whether it denies."""

    kind: Kind
    key: str
    name: str
    denies: bool


def labels_of(seen: Mapping[str, Seen]) -> dict[str, Label]:
    """Label the activities of a log, by how often each was seen."""
    read = {activity: _read(activity) for activity in seen}
    requester = {words.key for words in read.values() if words.kind == "start" and words.key}
    stages = _stages(read, seen, requester)
    said = {words.key for words in read.values() if words.kind == "approve"}
    labelled: dict[str, Label] = {}
    for activity, (kind, key, name, denies) in read.items():
        if kind in {"approve", "reject", "return", "unclear"}:
            labelled[activity] = _decision(kind, key, name, stages, requester)
        elif kind == "visit" and not _by_machines(seen[activity]) and (within := _within(key, stages)) is not None:
            unclear = key in said or key not in stages or (denies and name != stages[key])
            labelled[activity] = Label(kind="unclear" if unclear else "visit", stage=stages[within])
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


def _stages(read: Mapping[str, _Words], seen: Mapping[str, Seen], requester: set[str]) -> dict[str, str]:
    """Return the stages by what identifies them, each with its name: the longest that an activity gives it."""
    names: dict[str, str] = {}
    visits = [one for activity, one in read.items() if one.kind == "visit" and not _by_machines(seen[activity])]
    names.update((one.key, one.name) for one in visits if not one.denies)
    for one in read.values():
        if one.kind == "approve" and one.key not in requester:
            names.setdefault(one.key, one.name)
    named = {key: name for key, name in names.items() if key}
    # `CFO did not answer` is no stage of its own beside `CFO approved`.
    named |= {one.key: one.name for one in visits if one.denies and _within(one.key, named) is None}
    # `Approved` alone ends what is asked before it; where nothing else is asked, it is the one stage.
    return named or {"": "Approval"}


def _within(key: str, stages: Mapping[str, str]) -> str | None:
    """Return the stage that has this key, else the one whose words are all in it; the longest of several."""
    words = set(key.split())
    return max((one for one in stages if one and words.issuperset(one.split())), key=len, default=None)


def _decision(kind: Kind, key: str, name: str, stages: Mapping[str, str], requester: set[str]) -> Label:
    if key in requester:
        return Label(kind="step")  # the requester takes note of what was decided
    if key in stages:
        return Label(kind=kind, stage=stages[key])
    if kind == "unclear":
        return Label(kind=kind, stage=name if key else "")
    if not key:
        return Label(
            kind="outcome_approve" if kind == "approve" else "outcome_reject" if kind == "reject" else "return"
        )
    return Label(kind=kind, stage=name)


def _read(activity: str) -> _Words:
    words = _WORD.findall(_SHORTENED.sub(r"\1 not", activity))
    lower = [word.lower() for word in words]
    kind, denies = _kind(lower), bool(_NEGATION & set(lower))
    passing = _NEGATION | _AUXILIARY | _OPEN if denies else frozenset()
    by = _BY.search(activity)
    if by is not None:
        named = [word for word in _WORD.findall(by[1]) if word.lower() not in passing]
        name = " ".join(named) if denies else by[1].strip(" _")
        return _Words(kind, " ".join(word.lower() for word in named), name, denies)
    deciding = _APPROVE | _REJECT | _RETURN | _SUBMIT | _START
    kept = [word for word in words if word.lower() not in deciding | _NOUNS | passing]
    key = " ".join(word.lower() for word in kept if word.lower() not in _OBJECTS)
    if kind == "visit":
        return _Words(kind, key or " ".join(lower), activity, denies)
    return _Words(kind, key, " ".join(kept) if key else "Approval", denies)


def _kind(words: list[str]) -> Kind:
    there = set(words)
    if there & _NEGATION and there & (_APPROVE | _REJECT | _RETURN | {"approval", "genehmigung", "freigabe"}):
        return _denied(words)
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


def _denied(words: list[str]) -> Kind:
    """Say what denying a decision is: a rejection where it plainly denies an approval, else unclear."""
    there = set(words)
    if there & (_REJECT | _RETURN | _OPEN):
        return "unclear"
    approved = [place for place, word in enumerate(words) if word in _APPROVE]
    before = any(_NOT & set(words[max(0, place - 2) : place]) for place in approved)
    after = bool(approved) and words[-1] in _NO
    return "reject" if before or after else "unclear"


def _by_machines(seen: Seen) -> bool:
    return 2 * seen.by_machines > seen.count
