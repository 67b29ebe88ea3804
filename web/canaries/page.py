"""One canary as it is shown: its terms, its requests, each measure with its intervals, and how it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service.canaries import reading
from service.principal import Principal
from web.canaries.chart import Chart, chart_of
from web.canaries.wording import HARMS, MEASURES, STATUSES, VERDICTS, amount, percent
from web.languages import Wording
from web.views.people import names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a measure's table: requests, mean, and both ends of its interval."""

    label: str
    count: str
    mean: str
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureView:
    """One measure; `either` says that the margin counts both ways, and `margin` is empty where it is not guarded."""

    name: str
    word: str
    tone: str
    margin: str
    either: bool
    new: Line
    old: Line
    difference: Line
    chart: Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPage:
    """One canary."""

    id: str
    process: str
    version: str
    version_id: str
    baseline: str
    baseline_id: str
    status: str
    word: str
    tone: str
    share: str
    sample: str
    horizon: str
    chance: str
    new: str
    old: str
    sampled: str
    measured: str
    notes: str
    began_by: str
    began_at: datetime
    ended_by: str
    ended_at: datetime | None
    end_notes: str
    harm: str
    compared_at: datetime
    measures: tuple[MeasureView, ...]
    may_end: bool


def read_canary(connection: Connection, principal: Principal, canary_id: str, wording: Wording) -> CanaryPage:
    """Read one canary; raises NotFound."""
    found = reading.show(connection, principal, canary_id)
    row, number, say = found.row, wording.number, wording.say
    names = names_of(connection, [row.began_by, row.ended_by])
    word, tone = STATUSES.get(row.status, (row.status, "open"))
    return CanaryPage(
        id=row.id,
        process=row.template,
        version=row.version,
        version_id=row.version_id,
        baseline=row.baseline,
        baseline_id=row.baseline_id,
        status=row.status,
        word=say(word),
        tone=tone,
        share=percent(row.share, wording),
        sample=percent(row.people_sample, wording) if row.people_sample else "",
        horizon=wording.span(timedelta(seconds=row.horizon_seconds)),
        chance=percent(row.alpha, wording),
        new=number(found.counts["new"]),
        old=number(found.counts["old"]),
        sampled=number(found.counts["sample"]),
        measured=number(found.counts["measured"]),
        notes=row.notes or "",
        began_by=names(row.began_by),
        began_at=row.began_at,
        ended_by=names(row.ended_by) if row.ended_by else "",
        ended_at=row.ended_at,
        end_notes=row.end_notes or "",
        harm=say(HARMS[row.harm["measure"]]) if row.harm is not None else "",
        compared_at=row.compared_at,
        measures=tuple(_measure(figure, row.version, row.baseline, wording) for figure in row.figures),
        may_end=row.status == "running"
        and (bool(principal.access & {"designer", "admin"}) or principal.owns(row.owner)),
    )


def _measure(figure: Mapping[str, Any], version: str, baseline: str, wording: Wording) -> MeasureView:
    name, say, margin = figure["measure"], wording.say, figure["margin"]
    word, tone = VERDICTS[figure["verdict"]]
    chart = chart_of(figure)
    difference = {**figure["difference"], "count": figure["new"]["count"] + figure["old"]["count"], "mean": None}
    if None not in (figure["new"]["mean"], figure["old"]["mean"]):
        difference["mean"] = figure["new"]["mean"] - figure["old"]["mean"]
    return MeasureView(
        name=say(MEASURES[name]),
        word=say(word),
        tone=tone,
        margin="" if margin is None else amount(name, margin, wording),
        either=figure["either"],
        new=_line(say("Version {version}").format(version=version), name, figure["new"], wording),
        old=_line(say("Version {version}").format(version=baseline), name, figure["old"], wording),
        difference=_line(say("Difference"), name, difference, wording, signed=True),
        chart=chart,
    )


def _line(label: str, name: str, values: Mapping[str, Any], wording: Wording, *, signed: bool = False) -> Line:
    return Line(
        label=label,
        count=wording.number(values["count"]),
        mean=amount(name, values["mean"], wording, signed=signed),
        low=amount(name, values["low"], wording, signed=signed),
        high=amount(name, values["high"], wording, signed=signed),
    )
