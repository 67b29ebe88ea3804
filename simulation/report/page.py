"""Render the result of a simulation as an HTML page that stands alone: inline charts, no script, nothing loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from simulation.report.charts import bars, duration_text, histogram, paired, schedule

_STYLE = """
:root{--ink:#1c2733;--dim:#5b6876;--line:#dde3ea;--paper:#fff;--panel:#f5f7fa;--bar:#3b74c4;--old:#9aa8b8;--bad:#c0392b;
--warn:#d39b22;--good:#2e8b57}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--dim:#97a4b2;--line:#2c3540;--paper:#14191f;--panel:#1c232b;
--bar:#5b93e0;--old:#66727f;--bad:#e06455;--warn:#e0b04a;--good:#57b884}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1.2rem;color:var(--ink);
background:var(--paper)}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p{margin:.4rem 0}
.mode{color:var(--dim);text-transform:uppercase;letter-spacing:.08em;font-size:.8rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.2rem 0}
.tile{background:var(--panel);border-radius:.5rem;padding:.7rem .9rem}.tile b{display:block;font-size:1.25rem}
.tile span{color:var(--dim);font-size:.82rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{color:var(--dim);font-weight:600}
th,td{text-align:left;padding:.32rem .6rem .32rem 0;border-bottom:1px solid var(--line);vertical-align:top}
svg{width:100%;height:auto;display:block}text{font-size:13px;fill:var(--ink)}.small{font-size:11.5px;fill:var(--dim)}
.bar{fill:var(--bar)}.bar.before{fill:var(--old)}.bar.breached{fill:var(--bad)}.bar.warned{fill:var(--warn)}
.axis{stroke:var(--line);fill:none}.mark{stroke:var(--bad);stroke-dasharray:4 3;fill:none;color:var(--bad)}
.legend{color:var(--dim);font-size:.85rem}.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;
background:var(--bar);margin:0 .3em 0 .8em}
.legend i.before{background:var(--old)}.legend i.breached{background:var(--bad)}
ul{background:var(--panel);border-left:4px solid var(--warn);padding:.6rem 1rem .6rem 2rem;border-radius:.3rem}
ul.bad{border-color:var(--bad)}tr.differs td{background:var(--panel)}small,.dim{color:var(--dim)}
.approved{color:var(--good)}.rejected,.failed{color:var(--bad)}
"""
_MOST_BARS = 25
_MOST_ROWS = 500


def html_report(result: Mapping[str, Any]) -> str:
    """Return the page for a result of any mode, as `described()` gives it."""
    name = f"{result.get('template') or ''} {result.get('version') or ''}".strip()
    parts = [_tiles(result), _notes(result)]
    if "totals" in result:
        parts += _requests(result)
    else:
        parts += [
            _tasks(result),
            _times(result),
            _branches(result),
            _load(result),
            _side_by_side(result),
            _path(result),
        ]
    body = "\n".join(part for part in parts if part)
    mode = escape(str(result.get("mode", "")))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{mode}: {escape(name)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<p class="mode">{mode}</p><h1>{escape(name)}</h1>{_asked(result)}\n{body}\n</html>\n'
    )


def _asked(result: Mapping[str, Any]) -> str:
    given = ", ".join(f"{k} = {v}" for k, v in (result.get("input") or {}).items())
    facts = {
        "Requester": result.get("requester"),
        "Input": given,
        "Request": result.get("request_id"),
        "Rule": result.get("rule") or (result.get("predicted_duration") or {}).get("rule"),
    }
    lines = "".join(f"<br><b>{name}</b> {escape(str(value))}" for name, value in facts.items() if value)
    return f'<p class="dim">{lines.removeprefix("<br>")}</p>'


def _tiles(result: Mapping[str, Any]) -> str:
    predicted = result.get("predicted_duration") or {}
    cost = result.get("cost") or {}
    totals = result.get("totals") or {}
    changed = totals.get("changed") or {}
    facts: list[tuple[str, Any]] = [
        ("outcome", result.get("outcome") or result.get("stopped")),
        ("median duration", duration_text(predicted.get("p50_ms"))),
        ("90 % within", duration_text(predicted.get("p90_ms"))),
        ("cost", f"{cost['total']} {cost['currency']}" if cost else None),
        ("approver hours", cost.get("approver_hours")),
        ("routes", len(result.get("branch_explorations") or ()) or None),
        ("requests", totals.get("requests")),
        ("known", totals.get("known")),
        ("unknown", totals.get("unknown")),
        ("changed", f"{changed['share']:.0%}" if changed.get("share") is not None else None),
        ("entries that differ", result.get("timelines_differ")),
    ]
    tiles = [
        f'<div class="tile"><b class="{escape(str(value))}">{escape(str(value))}</b><span>{name}</span></div>'
        for name, value in facts
        if value is not None and value != ""
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _notes(result: Mapping[str, Any]) -> str:
    wrong = "".join(
        f"<li>{escape(str(e.get('pointer')))}: {escape(str(e.get('message')))}</li>"
        for e in result.get("validation_errors") or ()
    )
    lines = [*(result.get("warnings") or ()), *([result["error"]] if result.get("error") else [])]
    warnings = "".join(f"<li>{escape(str(w))}</li>" for w in lines)
    return (f'<ul class="bad">{wrong}</ul>' if wrong else "") + (f"<ul>{warnings}</ul>" if warnings else "")


def _tasks(result: Mapping[str, Any]) -> str:
    drawn = schedule(result.get("approval_chain") or ())
    return f"<h2>Tasks over time</h2>{drawn}" if drawn else ""


def _times(result: Mapping[str, Any]) -> str:
    predicted = result.get("predicted_duration") or {}
    drawn = predicted.get("distribution_ms") or ()
    if not drawn:
        return ""
    marks = [("median", predicted["p50_ms"]), ("90 %", predicted["p90_ms"])]
    return f"<h2>Duration, over {len(drawn)} simulated runs</h2>{histogram(drawn, marks=marks)}"


def _branches(result: Mapping[str, Any]) -> str:
    branches = result.get("branch_explorations") or ()
    if not branches:
        return ""
    rows = [
        (
            b["id"].removeprefix("branch-"),
            " → ".join(b["route"]),
            b["path_condition"],
            ", ".join(f"{k} = {v}" for k, v in b["witness"].items()),
            b["outcome"] or b["stopped"],
            duration_text(b["predicted_duration_ms"]),
        )
        for b in branches
    ]
    table = _table(("", "Route", "Condition", "Input that takes it", "Outcome", "Time"), rows[:_MOST_ROWS])
    times = [b["predicted_duration_ms"] for b in branches if b["predicted_duration_ms"] is not None]
    stages = Counter(f"{o['stage']}: {o['result']}" for b in branches for o in b["outcomes"])
    outcomes = Counter(str(b["outcome"] or b["stopped"]) for b in branches)
    return (
        f"<h2>All routes</h2>{table}<h2>Duration of the routes</h2>{histogram(times)}"
        f"<h2>Outcomes of the routes</h2>{bars(outcomes.most_common())}"
        f"<h2>Stage results over all routes</h2>{bars(stages.most_common(_MOST_BARS))}"
    )


def _load(result: Mapping[str, Any]) -> str:
    chains = [b["approval_chain"] for b in result.get("branch_explorations") or ()] or [
        result.get("approval_chain") or ()
    ]
    load = Counter(
        str(link["assignee"]).removeprefix("user:") for chain in chains for link in chain if link["assignee"]
    )
    return f"<h2>Tasks of each approver, over all routes</h2>{bars(load.most_common(_MOST_BARS))}" if load else ""


def _side_by_side(result: Mapping[str, Any]) -> str:
    rows = result.get("timelines") or ()
    if not rows:
        return ""
    before, after = result.get("before") or {}, result.get("after") or {}
    facts = [
        (name, _fact(name, before), _fact(name, after))
        for name in ("outcome", "status", "duration_ms", "sla_state", "escalations", "deciders", "cost")
        if name in before or name in after
    ]
    lines = "".join(
        f"<tr{'' if row['same'] else ' class=differs'}>{_moment(row['one'])}{_moment(row['other'])}</tr>"
        for row in rows[:_MOST_ROWS]
    )
    now = "Forecast" if result.get("forecast") else "Simulated again"
    head = f"<tr><th>After<th>Recorded<th>After<th>{now}</tr>"
    compared = _table(("", "Recorded", now), facts)
    return f"<h2>Comparison</h2>{compared}<h2>Both timelines</h2><table>{head}{lines}</table>"


def _fact(name: str, side: Mapping[str, Any]) -> str:
    value = side.get(name)
    if name == "duration_ms":
        return duration_text(value)
    if name == "cost" and value:
        return f"{value['total']} {value['currency']}"
    return ", ".join(str(v).removeprefix("user:") for v in value) if isinstance(value, list | tuple) else str(value)


def _moment(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "<td><td>"
    what = " ".join(str(part) for part in (str(line["kind"]).replace("_", " "), line["stage"]) if part)
    who = str(line["actor"]).removeprefix("user:")
    return f"<td>{duration_text(line['after_ms'])}<td>{escape(what)} <small>{escape(who)}</small>"


def _path(result: Mapping[str, Any]) -> str:
    rows = [(duration_text(s["after_ms"]), s["stage"] or "", s["what"]) for s in result.get("execution_path") or ()]
    return "<h2>Step by step</h2>" + _table(("After", "Stage", ""), rows[:_MOST_ROWS]) if rows else ""


def _requests(result: Mapping[str, Any]) -> Iterable[str]:
    rows, totals = result.get("rows") or (), result["totals"]
    flat = [
        ("Changed", _interval(totals["changed"], "share")),
        ("Outcome changed", _interval(totals["outcome_changed"], "share")),
        ("Hours, mean change", _interval(totals["hours"]["mean_change"], "mean")),
        ("Hours, median before and after", f"{totals['hours']['median_before']}, {totals['hours']['median_after']}"),
        ("Breached before and after", f"{totals['breached']['before']}, {totals['breached']['after']}"),
        ("Cost before and after", f"{totals['cost']['before']}, {totals['cost']['after']}"),
        ("Cost, mean change", _interval(totals["cost"]["mean_change"], "mean")),
        *((f"Unknown: {why}", count) for why, count in totals["unknown_reasons"].items()),
    ]
    yield "<h2>Totals</h2>" + _table((), flat) + "<small>Intervals are 95 % confidence intervals.</small>"
    if totals["changed_by_aspect"]:
        yield "<h2>Changes</h2>" + bars(sorted(totals["changed_by_aspect"].items(), key=lambda kv: -kv[1]))
    known = [row for row in rows if row["after"] is not None]
    for name in ("before", "after"):
        kind = "before" if name == "before" else ""
        yield f"<h2>Durations {name}</h2>" + histogram([row[name]["duration_ms"] for row in known], kind=kind)
    names = ("recorded", "with the candidate")
    yield "<h2>Paths</h2>" + paired(_counted_both(known, lambda side: [" · ".join(side["route"]) or "no stage"]), names)
    yield "<h2>Decisions of each approver</h2>" + paired(_counted_both(known, lambda side: side["approvers"]), names)
    yield "<h2>Outcomes</h2>" + paired(_counted_both(known, lambda side: [str(side["outcome"] or "open")]), names)
    listed = [
        (
            row["request_id"],
            ", ".join(row["changed"]),
            _summary(row["before"]),
            _summary(row["after"]),
            row["unknown"] or "",
        )
        for row in rows
        if row["changed"] or row["unknown"]
    ]
    head = ("Request", "Changes", "Recorded", "With the candidate", "Unknown")
    yield "<h2>Request by request</h2>" + _table(head, listed[:_MOST_ROWS])


def _counted_both(rows: Sequence[Mapping[str, Any]], of: Any) -> list[tuple[str, float, float]]:
    before = Counter(name for row in rows for name in of(row["before"]))
    after = Counter(name for row in rows for name in of(row["after"]))
    return [(name, before[name], after[name]) for name, _ in (before + after).most_common(_MOST_BARS)]


def _summary(side: Mapping[str, Any] | None) -> str:
    return (
        f"{side['outcome'] or 'open'} after {duration_text(side['duration_ms'])}, {side['sla_state']}" if side else ""
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>" if head else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table>{top}{body}</table>" if body else "<p>No data.</p>"


def _interval(figure: Mapping[str, Any], name: str) -> str:
    if figure[name] is None:
        return "none"
    if figure["low"] is None:
        return f"{figure[name]}"
    return f"{figure[name]} ({figure['low']} to {figure['high']})"
