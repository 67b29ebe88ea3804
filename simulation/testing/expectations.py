"""Compare what a suite expects of a request with what it looks like; each difference has its place in the suite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from placet.definition.assignees import person_id
from simulation.report.result import json_value
from simulation.testing.spans import span_text
from simulation.testing.suite import Expected, Notified, Told
from simulation.testing.view import ENDED, View

Path = tuple[str | int, ...]
TOLERANCE = timedelta(seconds=1)
_MOST_SHOWN = 10  # notifications that a message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was expected and what came of it: the place in the suite, and a sentence."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A notification that was sent: to whom, when after the start, and about a task of which stage."""

    to: str
    after: timedelta
    stage: str | None

    def __str__(self) -> str:
        return f"{self.to} at {span_text(self.after)}" + (f" ({self.stage})" if self.stage else "")


def differences(expected: Expected, view: View, path: Path) -> Iterator[Difference]:
    """Yield where a request differs from what is expected of it; `path` leads to the expectation in its suite."""
    state = view.state
    facts: list[tuple[str, object, object]] = [
        ("outcome", expected.outcome, state.outcome),
        ("status", expected.status, state.status),
    ]
    for name, wanted, found in facts:
        if wanted is not None and wanted != found:
            yield _differs(path, name, f"{name} {wanted}", _outcome(view) if name == "outcome" else f"it is {found}")
    if expected.ended is not None:
        yield from _end(expected.ended, view, (*path, "ended"))
    if expected.open is not None:
        yield from _open(expected.open, view, (*path, "open"))
    if expected.stages is not None:
        yield from _stages(expected.stages, view, (*path, "stages"))
    if expected.skipped is not None:
        yield from _skipped(expected.skipped, view, (*path, "skipped"))
    lists: tuple[tuple[str, str, Sequence[Told] | None], ...] = (
        ("reminded", "reminded", expected.reminded),
        ("escalated", "escalated_to", expected.escalated),
    )
    for name, event, told in lists:
        if told is not None:
            yield from _all_told(told, _sent(view, event), name, (*path, name))
    for number, one in enumerate(expected.notified or ()):
        yield from _told(one, _sent(view, one.of), f"a notification {one.of}", (*path, "notified", number))
    for name, value in (expected.variables or {}).items():
        if name not in state.input or not same_value(value, state.input[name]):
            has = _shown(state.input[name]) if name in state.input else "no value"
            yield _differs((*path, "variables"), name, f"{name} = {_shown(value)}", f"it is {has}")
    if expected.actions is not None and expected.actions != view.actions:
        wanted = ", ".join(expected.actions) or "none"
        yield _differs(
            path, "actions", f"these actions: {wanted}", f"these were run: {', '.join(view.actions) or 'none'}"
        )


def same_value(wanted: Any, found: Any) -> bool:
    """Whether a value of a suite is the one of a request; amounts are compared as numbers."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(same_value(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, list | tuple) and isinstance(found, list | tuple):
        return len(wanted) == len(found) and all(map(same_value, wanted, found))
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found
    if isinstance(wanted, int | float | Decimal) or isinstance(found, int | float | Decimal):
        return _number(wanted) is not None and _number(wanted) == _number(found)
    return bool(json_value(wanted) == json_value(found))


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _outcome(view: View) -> str:
    if view.state.status == "pending":
        return f"the request is open, and waits for {_waits(view.open_tasks)}"
    return f"it is {view.state.outcome or view.state.status}"


def _waits(tasks: Mapping[str, Iterable[str]]) -> str:
    return (
        "; ".join(f"{stage}: {', '.join(sorted(people)) or 'nobody'}" for stage, people in tasks.items()) or "no task"
    )


def _end(wanted: timedelta, view: View, path: Path) -> Iterator[Difference]:
    ended = view.state.ended_at
    if ended is None:
        yield Difference(path=path, message=f"expected the end at {span_text(wanted)}, but {_outcome(view)}")
    elif abs(view.after(ended) - wanted) >= TOLERANCE:
        message = f"expected the end at {span_text(wanted)}, but it ended at {span_text(view.after(ended))}"
        yield Difference(path=path, message=message)


def _open(wanted: Mapping[str, Sequence[str]], view: View, path: Path) -> Iterator[Difference]:
    expected = {stage: {person_id(who) for who in people} for stage, people in wanted.items()}
    if expected != view.open_tasks:
        message = f"expected open tasks of {_waits(expected)}, but there are those of {_waits(view.open_tasks)}"
        yield Difference(path=path, message=message)


def _stages(wanted: Mapping[str, str], view: View, path: Path) -> Iterator[Difference]:
    results, open_tasks = view.stages, view.open_tasks
    for stage, result in wanted.items():
        if results.get(stage) == result:
            continue
        has = f"it is {results[stage]}" if stage in results else "it was not reached"
        if stage in open_tasks:
            has = f"it is open, and waits for {', '.join(sorted(open_tasks[stage]))}"
        yield _differs(path, stage, f"the stage {stage} {result}", has)


def _skipped(wanted: Mapping[str, str] | Sequence[str], view: View, path: Path) -> Iterator[Difference]:
    found = view.skipped
    reasons = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted)
    for stage, reason in reasons.items():
        if stage not in found:
            yield _differs(path, stage, f"the stage {stage} skipped", "the request came to it, or still may")
        elif reason is not None and found[stage] != reason:
            yield _differs(path, stage, f"the stage {stage} skipped by {reason}", f"it was {_by(found[stage])}")
    for stage in found.keys() - reasons.keys():
        message = f"expected nothing of the stage {stage}, but it was {_by(found[stage])}"
        yield Difference(path=path, message=message)


def _by(reason: str) -> str:
    return "not reached before the end (end)" if reason == ENDED else f"skipped by the decision {reason}"


def _sent(view: View, event: str) -> list[_Sent]:
    return [_Sent(to=one.to, after=after, stage=stage) for one, after, stage in view.notifications(event)]


def _all_told(wanted: Sequence[Told], sent: list[_Sent], name: str, path: Path) -> Iterator[Difference]:
    """Compare a list that names all that was sent."""
    for number, one in enumerate(wanted):
        yield from _told(one, sent, name, (*path, number))
    for left in (message for message in sent if not any(_fits(one, message) for one in wanted)):
        yield Difference(path=path, message=f"expected nobody else {name}, but {left} was")


def _told(wanted: Told, sent: list[_Sent], name: str, path: Path) -> Iterator[Difference]:
    about = [message for message in sent if _is_about(wanted, message)]
    what = (
        f"{name} to {wanted.to or 'somebody'}" if isinstance(wanted, Notified) else f"{wanted.to or 'somebody'} {name}"
    )
    what += f" of {wanted.on}" if wanted.on else ""
    if not about:
        yield Difference(path=path, message=f"expected {what}, but there was {_listed(sent)}")
        return
    missing = [at for at in wanted.at or () if not any(abs(message.after - at) < TOLERANCE for message in about)]
    if missing:
        times = ", ".join(map(span_text, missing))
        yield Difference(path=path, message=f"expected {what} at {times}, but there was {_listed(about)}")
    elif wanted.times is not None and len(about) != wanted.times:
        yield Difference(path=path, message=f"expected {what} {wanted.times} times, but there was {_listed(about)}")


def _is_about(wanted: Told, sent: _Sent) -> bool:
    return wanted.to in {None, sent.to, f"user:{sent.to}"} and wanted.on in {None, sent.stage}


def _fits(wanted: Told, sent: _Sent) -> bool:
    times = wanted.at
    return _is_about(wanted, sent) and (times is None or any(abs(sent.after - at) < TOLERANCE for at in times))


def _listed(sent: Sequence[_Sent]) -> str:
    shown = ", ".join(map(str, sent[:_MOST_SHOWN])) or "none"
    return shown + (f" and {len(sent) - _MOST_SHOWN} more" if len(sent) > _MOST_SHOWN else "")


def _shown(value: Any) -> str:
    return json.dumps(json_value(value), ensure_ascii=False)


def _differs(path: Path, name: str, wanted: str, found: str) -> Difference:
    return Difference(path=(*path, name), message=f"expected {wanted}, but {found}")
