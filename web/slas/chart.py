"""The chart of an SLO's window as SVG: executions that kept and missed the target, and the budget that is left.

What a mark means is told by its shape as well as by its colour: what kept the target is plain, what missed it hatched.
The page has the same figures as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from babel import dates
from markupsafe import Markup

from service.slas.course import Course
from web.charts import HATCHED, begun
from web.languages import Wording
from web.slas.wording import percent

_WIDTH, _LEFT, _RIGHT = 720.0, 64.0, 12.0
_TOP, _BARS = 22.0, 150.0  # the upper panel
_GAP, _BUDGET, _BOTTOM = 34.0, 90.0, 26.0  # the lower one
_HEIGHT = _TOP + _BARS + _GAP + _BUDGET + _BOTTOM
_LABELS = 6  # moments below the chart
_SPACE = 0.22  # of a part that stays free between two columns
_LOWEST = -1.0  # the line of the budget ends here: twice as many are late as may be
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRow:
    """A part of the window in the table; `budget` is what is left of the error budget at its end."""

    begin: datetime
    when: str
    total: int
    kept: int
    breached: int
    budget: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseView:
    """The chart and the table of a window."""

    svg: Markup
    rows: tuple[CourseRow, ...]


def course_view(course: Course, target_slo: float, wording: Wording, *, name: str) -> CourseView:
    """Return the chart of a window, which is read out as `name`, and its table."""
    left = budgets(course, target_slo)
    ticks = _moments([part.begin for part in course.parts], wording)
    rows = tuple(
        CourseRow(
            begin=part.begin,
            when=f"{_moment(part.begin, course, wording)} – {_moment(part.end, course, wording)}",  # noqa: RUF001 - a dash in a text
            total=part.total,
            kept=part.total - part.breached,
            breached=part.breached,
            budget="" if budget is None else percent(budget * 100, wording),
        )
        for part, budget in zip(course.parts, left, strict=True)
    )
    svg = Markup(_draw(course, left, ticks, wording, name))  # noqa: S704 - every text in it is escaped
    return CourseView(svg=svg, rows=rows)


def budgets(course: Course, target_slo: float) -> list[float | None]:
    """Return what is left of the window's error budget at the end of each part; None without data, or without one."""
    total = course.window.figures.total
    allowed = total * (100 - target_slo) / 100
    late, found = 0, []
    for part in course.parts:
        late += part.breached
        if total == 0 or (not allowed and late):
            found.append(None if total == 0 else 0.0)
        else:
            found.append(1 - late / allowed if allowed else 1.0)
    return found


def _draw(course: Course, left: Sequence[float | None], ticks: Sequence[str], wording: Wording, name: str) -> str:
    say = wording.say
    most = max((part.total for part in course.parts), default=0)
    step = (_WIDTH - _LEFT - _RIGHT) / len(course.parts)
    base = _TOP + _BARS
    out = [
        begun(_WIDTH, _HEIGHT, name),
        _text(_LEFT, _TOP - 9, say("Executions"), "start"),
        *_axis(_TOP, _TOP + _BARS, ((1.0, wording.number(most)), (0.0, "0")) if most else ((0.0, "0"),)),
    ]
    for number, part in enumerate(course.parts):
        if not part.total or not most:
            continue
        x, width = _LEFT + step * (number + _SPACE / 2), step * (1 - _SPACE)
        late = _BARS * part.breached / most
        kept = _BARS * part.total / most - late
        if kept:
            out.append(_rect("kept", "", x=x, y=base - kept, width=width, height=kept))
        if late:
            out.append(_rect("missed", HATCHED, x=x, y=base - kept - late, width=width, height=late))
            out.append(_text(x + width / 2, base - kept - late - 3, wording.number(part.breached), "middle"))
    floor = base + _GAP
    out.append(_text(_LEFT, floor - 9, say("Error budget left"), "start"))
    lowest = min(0.0, max(_LOWEST, min((one for one in left if one is not None), default=0.0)))
    marks = [(1.0, "100 %"), (-lowest / (1 - lowest), "0 %")]
    if lowest < 0:
        marks.append((0.0, f"{wording.number(round(lowest * 100))} %"))
    out += _axis(floor, floor + _BUDGET, marks)
    points = [(_LEFT, floor)]
    for number, budget in enumerate(left):
        if budget is not None:
            y = floor + _BUDGET * (1 - (max(lowest, budget) - lowest) / (1 - lowest))
            points += [(_LEFT + step * number, y), (_LEFT + step * (number + 1), y)]
    if len(points) > 1:
        drawn = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        out.append(f'<path class="budget" d="M{drawn}"/>')
    every = max(1, len(ticks) // _LABELS)
    for number in range(0, len(ticks), every):
        x = _LEFT + step * number
        out.append(f'<path class="tick" d="M{x:.1f} {floor + _BUDGET:.1f}v5"/>')
        out.append(_text(x, _HEIGHT - 7, ticks[number], "middle" if number else "start"))
    return "".join([*out, "</svg>"])


def _axis(top: float, bottom: float, marks: Sequence[tuple[float, str]]) -> list[str]:
    """Draw lines at shares of the height from the bottom, each with its text at the left."""
    out = []
    for share, text in marks:
        y = bottom - (bottom - top) * share
        out.append(f'<path class="rule" d="M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}"/>')
        out.append(_text(_LEFT - 6, y + 4, text, "end"))
    return out


def _rect(name: str, fill: str, *, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" {fill} x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _moment(at: datetime, course: Course, wording: Wording) -> str:
    if course.parts[0].end - course.parts[0].begin >= _DAY:
        return wording.short_day(at)
    return wording.moment(at)


def _moments(moments: Sequence[datetime], wording: Wording) -> list[str]:
    """Write the moments below the chart: times of a day, or days where the window is longer than two of them."""
    if moments[-1] - moments[0] >= 2 * _DAY:
        return [wording.short_day(at, year=False) for at in moments]
    return [str(dates.format_datetime(at.astimezone(wording.zone), "HH:mm", locale=wording.locale)) for at in moments]
