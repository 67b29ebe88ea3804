"""Suggest a blueprint out of an event log, and measure on later cases how well it fits.

This is heavy work on what somebody sent: it runs in the pool of processes. What it is given and returns is pickled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from insight.event_logs.blueprint import blueprint_of
from insight.event_logs.cases import unpacked
from insight.event_logs.course import Course, course_of
from insight.event_logs.discovery import ProcessFound, discover
from insight.event_logs.fit import fit_of
from insight.event_logs.history import history_of
from insight.event_logs.labels import Seen, labels_of
from insight.event_logs.refusal import in_file
from insight.event_logs.stages import figures_of
from insight.mining.mine import mine
from placet.proofs import DirectoryView, check
from placet.proofs.findings import Finding, warning
from placet.quantile import quantile
from placet.sentences import sentence

EARLIER: Final = 0.7  # of the cases, by when they began: the blueprint is made of them, and measured on the others
MOST_CASES: Final = 20_000  # that are looked at, evenly spread over the time of the log
MOST_REPLAYED: Final = 4_000  # of the later ones
FEWEST_CASES: Final = 10
_MOST_NAMED = 20
_FEW_UNCLEAR = 0.01  # of the decisions of a stage: as many whose meaning is not known change nothing
_OPEN_QUANTILE = 0.99  # of the waits: a case that has waited for less when the log ends may go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """The process of a log: what was found in the `earlier` of the closed cases, and the `later` ones.

    `courses` are all cases that were looked at: every `step`th. `document` is the blueprint.
    """

    courses: Sequence[Course]
    earlier: Sequence[Course]
    later: Sequence[Course]
    found: ProcessFound
    document: dict[str, Any]
    step: int

    @property
    def closed(self) -> int:
        """How many cases go on no more."""
        return len(self.earlier) + len(self.later)


def discovered(
    parts: Sequence[bytes],
    seen: Mapping[str, Seen],
    columns: Sequence[str],
    *,
    name: str,
    owner: str | None,
    min_occurrences: int,
    cases: int,
    most: int = MOST_CASES,
) -> Discovered:
    """Find the process of a log, of whose `cases` it looks at `most`, evenly spread; raises InputInvalid."""
    step = max(1, -(-cases // most))
    courses = list(_courses(parts, seen, step))
    ended = max((course.ended for course in courses), default=0)
    closed = _closed(courses, ended)
    if len(closed) < FEWEST_CASES:
        raise in_file(
            sentence(
                "a blueprint needs {fewest} cases that have ended, and there are {found}",
                fewest=FEWEST_CASES,
                found=len(closed),
            )
        )
    cut = int(len(closed) * EARLIER)
    found = discover(closed[:cut], columns, min_occurrences)
    return Discovered(
        courses=courses,
        earlier=closed[:cut],
        later=closed[cut:],
        found=found,
        document=blueprint_of(found, name=name, owner=owner),
        step=step,
    )


def suggest(
    parts: Sequence[bytes],
    seen: Mapping[str, Seen],
    columns: Sequence[str],
    *,
    name: str,
    owner: str | None,
    min_occurrences: int,
    cases: int,
    directory: DirectoryView | None = None,
) -> dict[str, Any]:
    """Return a blueprint out of the cases of these parts, its findings, its fit, and what miners suggest for it.

    `cases` is how many there are. The findings are those of the proofs, with the people of `directory`, and what the
    blueprint leaves open. Raises InputInvalid.
    """
    log = discovered(parts, seen, columns, name=name, owner=owner, min_occurrences=min_occurrences, cases=cases)
    courses, later, found, document, step = log.courses, log.later, log.found, log.document, log.step
    figures = figures_of(courses)
    findings = [*check(document, directory=directory).findings, *_open(found, figures)]
    labels = labels_of(seen)
    unclear = _unclear(courses, figures)
    for stage, count in unclear.items():
        named = [
            activity for activity, label in labels.items() if label.kind == "unclear" and label.stage in {stage, ""}
        ]
        message = sentence(
            "in {count:,} cases nothing says what {stage!r} decided ({activities}): they count neither as approved nor "
            "as rejected; rename the activities, such as `Approved by CFO`, `Rejected by CFO`",
            count=count,
            stage=stage,
            activities=", ".join(named[:_MOST_NAMED]),
        )
        findings.append(warning("unclear_activity", "", message))
    steps = [activity for activity, label in labels.items() if label.kind == "step"]
    if steps:
        message = sentence(
            "these activities decide nothing and are left out: {steps}; add actions or notifications for them",
            steps=", ".join(steps[:_MOST_NAMED]),
        )
        findings.append(warning("left_out_steps", "", message))
    if step > 1:
        message = sentence("every {step}th of {cases:,} cases was looked at", step=step, cases=cases)
        findings.append(warning("sampled_cases", "", message))
    if log.closed < len(courses):
        message = sentence(
            "{count} cases may still go on where the log ends; they are left out", count=len(courses) - log.closed
        )
        findings.append(warning("open_cases", "", message))
    replayed = later[:: max(1, -(-len(later) // MOST_REPLAYED))]
    if len(replayed) < len(later):
        message = sentence("{count:,} of {later:,} later cases were replayed", count=len(replayed), later=len(later))
        findings.append(warning("sampled_replay", "", message))
    return {
        "blueprint": document,
        "findings": [finding.described() for finding in findings],
        "fit": fit_of(document, found, replayed).described(),
        "stages": figures,
        "rules": [
            {
                "stage": stage.name,
                "condition": stage.branch.rule,
                "variable": None if stage.branch.rule else stage.branch.variable,
                "asked": stage.branch.asked,
                "of": stage.branch.of,
                "predicts_later": round(stage.branch.right, 4),
            }
            for stage in found.stages
            if stage.branch is not None
        ],
        "suggestions": _mined(document, found, courses, min_occurrences, without=unclear),
        "made_from_cases": len(log.earlier),
    }


def _unclear(courses: Iterable[Course], figures: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the stages of which too many cases do not say what they decided, each with how many."""
    decided = {one["stage"]: int(one["decisions"]) for one in figures}
    counts = Counter(stage for course in courses for stage in course.unclear)
    return {stage: n for stage, n in counts.most_common() if n > _FEW_UNCLEAR * decided.get(stage, 0)}


def _mined(
    document: Mapping[str, Any], found: ProcessFound, courses: Iterable[Course], least: int, *, without: Container[str]
) -> list[dict[str, Any]]:
    """Return what the miners find in the log about the blueprint, as JSON values.

    No automatic approval is suggested for stages `without` which it is known how they decide.
    """
    targets = {stage.name: stage.target_hours for stage in found.stages}
    history = history_of(courses, found.fields, template=document["name"], version=document["version"], targets=targets)
    return [
        {
            "suggestion_type": one.kind,
            "title": one.title,
            "description": one.description,
            "patch": [dict(step) for step in one.patch],
            "confidence": one.confidence,
            "supporting_data": dict(one.evidence),
        }
        for one in mine(document, history, least)
        if one.kind != "auto_approval" or one.subject[1] not in without
    ]


def _courses(parts: Iterable[bytes], seen: Mapping[str, Seen], step: int) -> Iterator[Course]:
    labels = labels_of(seen)
    number = 0
    for part in parts:
        for case in unpacked(part):
            if number % step == 0:
                yield course_of(case, labels)
            number += 1


def _closed(courses: Sequence[Course], ended: int) -> list[Course]:
    """Return the cases without those that may still go on where the log ends.

    A case that was rejected, or whose last stage often ends one, goes on no more.
    """
    waits = sorted(visit.at - visit.opened for course in courses for visit in course.visits)
    if not waits:
        return list(courses)
    patience = quantile(waits, _OPEN_QUANTILE)
    approved = [course for course in courses if course.outcome == "approved"]
    last: dict[str, int] = {}
    for course in approved:
        last[course.visits[-1].stage] = last.get(course.visits[-1].stage, 0) + 1
    ends = {stage for stage, count in last.items() if 20 * count >= len(approved)}
    return [
        course
        for course in courses
        if course.outcome == "rejected"
        or (course.outcome == "approved" and course.visits[-1].stage in ends)
        or ended - course.ended > patience
    ]


def _open(found: ProcessFound, figures: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return what the log does not say, which a designer has to."""
    findings = []
    steps = {stage.name: f"/process_steps/{place}" for place, stage in enumerate(found.stages)}
    for stage in found.choices.values():
        if stage.branch is None:
            continue
        message = sentence(
            "{asked:,} of {of:,} cases asked {stage!r}, and no attribute explains which; the requester says so in "
            "{variable!r}, or give the decision a condition",
            asked=stage.branch.asked,
            of=stage.branch.of,
            stage=stage.name,
            variable=stage.branch.variable,
        )
        findings.append(warning("unexplained_branch", steps[stage.name], message))
    for one in figures:
        if one["machine"] and one["stage"] in steps:
            message = sentence(
                "half of the decisions of {stage!r} come within {seconds:.0f} seconds: a machine decides; make it a "
                "condition or an action",
                stage=one["stage"],
                seconds=max(1.0, one["wait_hours"]["p50"] * 3600),
            )
            findings.append(warning("machine_stage", steps[one["stage"]], message))
    for name, count in found.left_out.items():
        message = sentence(
            "{stage!r} decides {count:,} times in the cases that the blueprint was made from, too seldom or never "
            "approving; it is left out",
            stage=name,
            count=count,
        )
        findings.append(warning("left_out_stage", "", message))
    return findings
