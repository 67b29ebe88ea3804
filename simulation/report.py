"""A simulation as a page that stands alone: inline charts, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2733;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #dde3ea;vertical-align:top}
.bar{fill:#3b74c4}.other{fill:#c9a03a}text{font-size:12px;fill:#1c2733}.warn{background:#fff6dd;padding:.5rem 1rem}
.bad{background:#fde7e7;padding:.5rem 1rem}small{color:#5b6876}
@media(prefers-color-scheme:dark){body{background:#14191f;color:#e4e9ef}text{fill:#e4e9ef}td,th{border-color:#2c3540}
.warn{background:#3a3216}.bad{background:#401f1f}}
"""
_HOUR = 3_600_000
_BINS = 12
_MOST_BARS = 25


def html_report(result: Mapping[str, Any]) -> str:
    """Return the page for an answer of any mode, as `described()` gives it."""
    title = f"{result.get('mode', '')}: {result.get('template', '')} {result.get('version') or ''}"
    parts = [_summary(result), _notes(result)]
    if "rows" in result:
        parts += _backtest(result)
    else:
        parts += [_path(result), _branches(result), _load(result)]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )


def _summary(result: Mapping[str, Any]) -> str:
    predicted = result.get("predicted_duration") or {}
    cost = result.get("cost") or {}
    facts = {
        "Outcome": result.get("outcome"),
        "Predicted duration": _span(result.get("predicted_duration_ms")),
        "Nine in ten within": _span(predicted.get("p90_ms")),
        "Where that comes from": predicted.get("rule"),
        "Cost": f"{cost['total']} {cost['currency']}" if cost else None,
        "Rule": result.get("rule"),
    }
    return _table((), [(k, v) for k, v in facts.items() if v])


def _notes(result: Mapping[str, Any]) -> str:
    wrong = "".join(
        f"<li>{escape(str(e.get('pointer')))}: {escape(str(e.get('message')))}</li>"
        for e in result.get("validation_errors") or ()
    )
    warnings = "".join(f"<li>{escape(str(w))}</li>" for w in result.get("warnings") or ())
    return (f'<ul class="bad">{wrong}</ul>' if wrong else "") + (
        f'<ul class="warn">{warnings}</ul>' if warnings else ""
    )


def _path(result: Mapping[str, Any]) -> str:
    rows = [(_span(s["after_ms"]), s["kind"], s["stage"] or "", s["what"]) for s in result.get("execution_path") or ()]
    return "<h2>Step by step</h2>" + _table(("After", "What", "Stage", ""), rows[:500]) if rows else ""


def _branches(result: Mapping[str, Any]) -> str:
    branches = result.get("branch_explorations") or ()
    if not branches:
        return ""
    rows = [
        (
            b["id"],
            " → ".join(b["route"]),
            b["path_condition"],
            ", ".join(f"{k} = {v}" for k, v in b["witness"].items()),
            b["outcome"] or b["stopped"],
            _span(b["predicted_duration_ms"]),
        )
        for b in branches
    ]
    table = _table(("", "Route", "Condition", "Input that takes it", "Outcome", "Time"), rows)
    hours = [b["predicted_duration_ms"] / _HOUR for b in branches if b["predicted_duration_ms"] is not None]
    outcomes = Counter(str(b["outcome"] or b["stopped"]) for b in branches)
    return (
        f"<h2>Every way through</h2>{table}<h2>Time of the ways, in hours</h2>{_histogram(hours)}"
        f"<h2>How they end</h2>{_bars(outcomes.most_common())}"
    )


def _load(result: Mapping[str, Any]) -> str:
    chains = [
        result.get("approval_chain") or (),
        *(b["approval_chain"] for b in result.get("branch_explorations") or ()),
    ]
    load = Counter(
        str(link["assignee"]).removeprefix("user:") for chain in chains for link in chain if link["assignee"]
    )
    return f"<h2>Tasks for each approver, over all ways</h2>{_bars(load.most_common(_MOST_BARS))}" if load else ""


def _backtest(result: Mapping[str, Any]) -> Iterable[str]:
    rows = result["rows"]
    totals = result["totals"]
    flat = [
        ("Requests", totals["requests"]),
        ("Known", totals["known"]),
        ("Unknown", totals["unknown"]),
        ("Changed", _interval(totals["changed"], "share")),
        ("Outcome changed", _interval(totals["outcome_changed"], "share")),
        ("Hours, mean change", _interval(totals["hours"]["mean_change"], "mean")),
        ("Breached before, after", f"{totals['breached']['before']}, {totals['breached']['after']}"),
        ("Cost before, after", f"{totals['cost']['before']}, {totals['cost']['after']}"),
    ]
    yield "<h2>Totals</h2>" + _table((), flat) + "<small>Intervals hold with 95 %.</small>"
    known = [row for row in rows if row["after"] is not None]
    for name in ("before", "after"):
        yield f"<h2>Hours {name}</h2>" + _histogram([row[name]["duration_ms"] / _HOUR for row in known])
    routes = Counter(", ".join(row["after"]["route"]) for row in known)
    yield "<h2>Routes after</h2>" + _bars(routes.most_common(_MOST_BARS))
    load = Counter(person for row in known for person in row["after"]["approvers"])
    yield "<h2>Decisions for each approver after</h2>" + _bars(load.most_common(_MOST_BARS))
    listed = [
        (row["request_id"], ", ".join(row["changed"]), row["unknown"] or "")
        for row in rows
        if row["changed"] or row["unknown"]
    ]
    yield "<h2>What changes</h2>" + _table(("Request", "Changes", "Not known"), listed[:500])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>" if head else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def _histogram(values: Sequence[float]) -> str:
    if not values:
        return "<p>Nothing to show.</p>"
    low, high = min(values), max(values)
    width = (high - low) / _BINS or 1
    counts = Counter(min(int((v - low) / width), _BINS - 1) for v in values)
    bins = range(_BINS) if high > low else range(1)
    return _bars([(f"{low + n * width:.1f} to {low + (n + 1) * width:.1f}", counts[n]) for n in bins])


def _bars(rows: Sequence[tuple[str, int]]) -> str:
    if not rows:
        return "<p>Nothing to show.</p>"
    most = max(count for _, count in rows) or 1
    height = 22
    lines = "".join(
        f'<text x="0" y="{n * height + 15}">{escape(name[:48])}</text>'
        f'<rect class="bar" x="300" y="{n * height + 4}" width="{count / most * 500:.1f}" height="14"/>'
        f'<text x="{305 + count / most * 500:.1f}" y="{n * height + 15}">{count}</text>'
        for n, (name, count) in enumerate(rows)
    )
    return f'<svg role="img" viewBox="0 0 860 {len(rows) * height + 4}" width="100%">{lines}</svg>'


def _interval(figure: Mapping[str, Any], name: str) -> str:
    if figure[name] is None:
        return "none"
    if figure["low"] is None:
        return f"{figure[name]}"
    return f"{figure[name]} ({figure['low']} to {figure['high']})"


def _span(milliseconds: Any) -> str:
    if milliseconds is None:
        return ""
    minutes = milliseconds // 60_000
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(p for p in parts if p) or f"{milliseconds / 1000:g} s"
