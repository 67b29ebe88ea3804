"""The intervals of a canary as lines: where each begins, ends and has its middle, in percent of the width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ROOM = 1.15  # of what is shown, so that nothing ends at the edge
_EDGE = 2.0  # percent of the width on each side


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One interval: from, to, and where its mean is, in percent of the width; None without a mean."""

    low: float
    high: float
    mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Both versions on one scale from 0, and their difference on one of its own with its zero and its margins."""

    new: Bar
    old: Bar
    difference: Bar
    zero: float
    margins: tuple[float, ...]


def chart_of(figure: Mapping[str, Any]) -> Chart:
    """Return the lines of one measure."""
    most = min(float(figure["most"]), _ROOM * max(float(figure[arm]["high"]) for arm in ("new", "old")))
    difference, margin = figure["difference"], figure["margin"]
    margins = () if margin is None else (margin, -margin) if figure["either"] else (margin,)
    reach = _ROOM * max(abs(value) for value in (difference["low"], difference["high"], *margins, 1e-9))
    return Chart(
        new=_bar(figure["new"], 0, most),
        old=_bar(figure["old"], 0, most),
        difference=_bar({**difference, "mean": _middle(figure)}, -reach, reach),
        zero=_place(0, -reach, reach),
        margins=tuple(_place(one, -reach, reach) for one in margins),
    )


def _middle(figure: Mapping[str, Any]) -> float | None:
    means: Sequence[float | None] = [figure[arm]["mean"] for arm in ("new", "old")]
    return None if means[0] is None or means[1] is None else means[0] - means[1]


def _bar(values: Mapping[str, Any], first: float, last: float) -> Bar:
    mean = values["mean"]
    return Bar(
        low=_place(values["low"], first, last),
        high=_place(values["high"], first, last),
        mean=None if mean is None else _place(mean, first, last),
    )


def _place(value: float, first: float, last: float) -> float:
    part = (value - first) / (last - first) if last > first else 0.0
    return round(_EDGE + (100 - 2 * _EDGE) * min(max(part, 0.0), 1.0), 2)
