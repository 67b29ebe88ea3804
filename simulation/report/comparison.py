"""Compare the timelines of two runs of the same request.

Times count from the start of each run, and are equal where they differ by no more than an engine's timers and its own
working time. Hashes are left out, because they depend on absolute times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any, Protocol

from placet.audit.reasons import detail_in_words

# The virtual time that timers (20 ms here, a second elsewhere), updates and local activities of a rehearsed workflow
# take: at once, and accumulated where each entry counts from the one before, as in a loop.
TOLERANCE = timedelta(seconds=10)
_FOR_EACH_ENTRY = timedelta(milliseconds=250)
# The difference of two clocks that were started together: within it the order of two tasks has no meaning.
_SAME_MOMENT = timedelta(milliseconds=500)

# What tells nobody how two runs went: the digest of what stands beside it, the title, which a simulation makes up, how
# somebody reached Placet, and who was passed over, since whom the task went to stands beside that.
_UNTOLD = frozenset({"content_digest", "title", "via", "actor_type", "choice"})
# What a simulated request need not have, and which is told only where both have it.
_OF_REAL_REQUESTS = frozenset({"signature", "created_from", "parent", "action", "action_digest", "principal"})
# What became of an approved action, after the end of the request for people.
_OF_CLAIMS = frozenset({"claimed", "claim_refused", "claim_expired"})

_MOMENT = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$")


class TimelineEvent(Protocol):
    """One entry of a timeline: an audit entry, or its stored row."""

    @property
    def at(self) -> datetime: ...
    @property
    def kind(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def task_id(self) -> str | None: ...
    @property
    def detail(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLine:
    """One entry in a form that can be compared: `after` and all times in `detail` count from the start."""

    after: timedelta
    kind: str
    actor: str
    stage: str | None
    task: str | None
    detail: Any

    @property
    def about(self) -> tuple[str, str, str | None]:
        """Kind, actor and stage, by which two timelines are aligned."""
        return (self.kind, self.actor, self.stage)


def before_claims(entries: Sequence[TimelineEvent]) -> list[TimelineEvent]:
    """Return the entries of a request without those about the claim of its action, which a replay does not repeat."""
    return [entry for entry in entries if entry.task_id is not None or entry.kind not in _OF_CLAIMS]


def lines_of(entries: Sequence[TimelineEvent], start: datetime) -> tuple[ComparedLine, ...]:
    """Return the entries of a request that started at `start` as lines that can be compared, without request ids."""
    return tuple(
        ComparedLine(
            after=entry.at - start,
            kind=entry.kind,
            actor=entry.actor,
            stage=entry.stage,
            task=entry.task_id.rpartition(".")[2] if entry.task_id else None,
            detail=_relative(detail_in_words(entry.detail), start),
        )
        for entry in entries
    )


def differences(
    one: Sequence[ComparedLine], other: Sequence[ComparedLine], *, tolerance: timedelta = TOLERANCE
) -> tuple[dict[str, Any], ...]:
    """List where two timelines differ, entry by entry; empty where they are equal.

    Their times may differ by `tolerance`, and by a quarter of a second more for each entry. Entries of different tasks
    at the same time have no order: which escalation comes first may depend on a few milliseconds.
    """
    one, other = _by_task(one), _by_task(other)
    found: list[dict[str, Any]] = []
    for index in range(max(len(one), len(other))):
        left = one[index] if index < len(one) else None
        right = other[index] if index < len(other) else None
        if left is None or right is None or not _same(left, right, tolerance + index * _FOR_EACH_ENTRY):
            found.append({"entry": index + 1, "one": _told(left), "other": _told(right)})
    return tuple(found)


def _by_task(lines: Sequence[ComparedLine]) -> list[ComparedLine]:
    """Sort lines of the same time by task; lines without a task keep their place."""
    ordered: list[ComparedLine] = []
    together: list[ComparedLine] = []
    for line in lines:
        apart = together and line.after - together[-1].after > _SAME_MOMENT
        if line.task is None or apart:
            ordered += sorted(together, key=lambda one: int(one.task or 0))
            together = []
        if line.task is None:
            ordered.append(line)
        else:
            together.append(line)
    return [*ordered, *sorted(together, key=lambda one: int(one.task or 0))]


def side_by_side(
    one: Sequence[ComparedLine], other: Sequence[ComparedLine], *, tolerance: timedelta = TOLERANCE
) -> tuple[dict[str, Any], ...]:
    """Align two timelines for people; each row says whether it is the same on both sides.

    `differs` names the details that differ: not digests, and not what only a real request has.
    """
    matcher = SequenceMatcher(a=[x.about for x in one], b=[x.about for x in other], autojunk=False)
    rows: list[dict[str, Any]] = []
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            rows += [_beside(x, y, tolerance) for x, y in zip(one[a1:a2], other[b1:b2], strict=True)]
            continue
        rows += [{"same": False, "differs": [], "one": _told(x), "other": None} for x in one[a1:a2]]
        rows += [{"same": False, "differs": [], "one": None, "other": _told(y)} for y in other[b1:b2]]
    return tuple(rows)


def _beside(one: ComparedLine, other: ComparedLine, tolerance: timedelta) -> dict[str, Any]:
    differs = _differing(one.detail, other.detail, tolerance)
    same = not differs and abs(one.after - other.after) <= tolerance
    return {"same": same, "differs": differs, "one": _told(one), "other": _told(other)}


def _differing(one: dict[str, Any], other: dict[str, Any], tolerance: timedelta) -> list[str]:
    """Return the names of the details by which two entries differ for people, in the order of the entries."""
    left_out = _UNTOLD | (_OF_REAL_REQUESTS - (one.keys() & other.keys()))
    if "version" in one and one["version"] != other.get("version"):
        left_out |= {"digest"}  # another version has another content
    return [
        name
        for name in {**one, **other}
        if name not in left_out and not _alike(one.get(name), other.get(name), tolerance)
    ]


def _same(one: ComparedLine, other: ComparedLine, tolerance: timedelta) -> bool:
    return (
        one.about == other.about
        and one.task == other.task
        and abs(one.after - other.after) <= tolerance
        and _alike(one.detail, other.detail, tolerance)
    )


def _alike(one: Any, other: Any, tolerance: timedelta) -> bool:
    if isinstance(one, timedelta) and isinstance(other, timedelta):
        return abs(one - other) <= tolerance
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[k], other[k], tolerance) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _relative(value: Any, start: datetime) -> Any:
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value) - start
    if isinstance(value, dict):
        return {k: v if k in {"input", "title", "form"} else _relative(v, start) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_relative(v, start) for v in value]
    return value


def _told(line: ComparedLine | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "after_ms": line.after // timedelta(milliseconds=1),
        "kind": line.kind,
        "actor": line.actor,
        "stage": line.stage,
        "task": line.task,
        "detail": line.detail,
    }
