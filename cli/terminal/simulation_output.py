"""Show the result of a simulation in a terminal: the routes as a tree, tasks over time, both sides of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from cli.terminal.output import out
from service.simulations.simulator import failed
from simulation.report.charts import duration_text

_MOST_STEPS = 60
_MOST_ROWS = 20
_WIDE = 40  # characters of a bar
_COLOURS = {"approved": "green", "rejected": "red", "breached": "red", "warning": "yellow"}


def show(result: dict[str, Any]) -> bool:
    """Print a result; returns whether the simulation could run."""
    title = f"{result.get('template', '')} {result.get('version') or ''}"
    out.print(f"[bold]{escape(title)}[/bold], {escape(result['mode'])}", soft_wrap=True)
    for fault in result.get("validation_errors", ()):
        out.print(f"  [red]{escape(fault['pointer'] or '/')}[/red] {escape(fault['message'])}", soft_wrap=True)
    if "totals" in result:
        _requests(result)
    elif not failed(result):
        _path(result)
        _tasks(result)
        _routes(result)
        _sides(result)
        _figures(result)
    if link := (result.get("links") or {}).get("temporal_ui"):
        out.print(f"History: {link}", soft_wrap=True)
    for warning in result.get("warnings", ()):
        out.print(f"[yellow]{escape(warning)}[/yellow]", soft_wrap=True)
    return not failed(result)


def _path(result: Mapping[str, Any]) -> None:
    table = _table()
    for step in result["execution_path"][:_MOST_STEPS]:
        table.add_row(
            f"[dim]{duration_text(step['after_ms'])}[/dim]", escape(step["stage"] or ""), escape(step["what"])
        )
    out.print(table)
    left = len(result["execution_path"]) - _MOST_STEPS
    if left > 0:
        out.print(f"[dim]and {left} more steps[/dim]")


def _tasks(result: Mapping[str, Any]) -> None:
    """Draw each task as a bar from its opening to its decision."""
    chain = result.get("approval_chain") or ()
    end = max((link["decided_ms"] or link["opened_ms"] for link in chain), default=0)
    if not end:
        return
    table = _table()
    for link in chain[:_MOST_ROWS]:
        until = link["decided_ms"] if link["decided_ms"] is not None else end
        before = round(link["opened_ms"] / end * _WIDE)
        long = max(1, round((until - link["opened_ms"]) / end * _WIDE))
        colour = _COLOURS.get(link["sla_state"], "blue")
        who = str(link["assignee"] or "queue").removeprefix("user:")
        drawn = f"{' ' * before}[{colour}]{'━' * long}[/{colour}]"
        table.add_row(escape(link["stage"]), escape(who), drawn, escape(str(link["decision"] or link["status"])))
    out.print(table)


def _routes(result: Mapping[str, Any]) -> None:
    """Draw the routes as a tree: at each node the condition or result that leads there, at each end an input."""
    branches = result["branch_explorations"]
    if not branches:
        return
    tree = Tree(f"[bold]{len(branches)} routes[/bold]", guide_style="dim")
    nodes: dict[tuple[str, ...], Tree] = {}
    for branch in branches:
        route = tuple(branch["route"])
        labels = _labels(branch)
        place = tree
        for depth in range(1, len(route) + 1):
            key = (*route[:depth], *labels[:depth])
            if key not in nodes:
                why = f" [dim]{escape(labels[depth - 1])}[/dim]" if labels[depth - 1] else ""
                nodes[key] = place.add(f"{escape(route[depth - 1])}{why}")
            place = nodes[key]
        witness = ", ".join(f"{name} = {value}" for name, value in branch["witness"].items())
        ended = branch["outcome"] or branch["stopped"] or "open"
        colour = _COLOURS.get(ended, "yellow")
        took = duration_text(branch["predicted_duration_ms"]) or "no end"
        place.add(f"[{colour}]{escape(ended)}[/{colour}] after {took} [dim]{escape(witness)}[/dim]")
    out.print(tree)


def _labels(branch: Mapping[str, Any]) -> list[str]:
    """Return for each node on a route the condition or the result of the previous node that leads to it."""
    conditions = iter(branch["conditions"])
    results = iter(branch["results"])
    condition, result = next(conditions, None), next(results, None)
    labels = [""]
    for node in branch["route"][:-1]:
        label = ""
        if condition is not None and condition["node"] == node:
            label = "otherwise" if condition["default"] else f"if {condition['condition']}"
            condition = next(conditions, None)
        elif result is not None and result["node"] == node:
            label = str(result["result"])
            result = next(results, None)
        labels.append(label)
    return labels


def _sides(result: Mapping[str, Any]) -> None:
    """Show the rows in which both timelines of a replay differ."""
    rows = result.get("timelines")
    if rows is None:
        return
    history = result["history"]
    held = {True: "[green]replays on today's code[/green]", False: "[red]does not replay on today's code[/red]"}
    out.print(f"History: {held.get(history['ok'], escape(str(history['why'])))}", soft_wrap=True)
    differing = [row for row in rows if not row["same"]]
    if not differing:
        out.print("Both timelines are the same.")
        return
    table = _table("recorded", "forecast" if result["forecast"] else "simulated again")
    for row in differing[:_MOST_STEPS]:
        table.add_row(_line(row["one"]), _line(row["other"]))
    out.print(table)


def _line(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return ""
    text = " ".join(str(part) for part in (str(line["kind"]).replace("_", " "), line["stage"]) if part)
    actor = str(line["actor"]).removeprefix("user:")
    return f"[dim]{duration_text(line['after_ms'])}[/dim] {escape(text)} {escape(actor)}"


def _figures(result: Mapping[str, Any]) -> None:
    predicted = result["predicted_duration"] or {}
    cost = result["cost"] or {}
    out.print(f"Outcome: {escape(str(result['outcome'] or result['stopped']))}")
    out.print(
        f"Duration: {duration_text(predicted.get('p50_ms')) or 'no end'} (median), 90 % within "
        f"{duration_text(predicted.get('p90_ms')) or 'no end'} [dim]({escape(predicted.get('rule', ''))})[/dim]",
        soft_wrap=True,
    )
    if cost:
        out.print(f"Cost: {cost['total']} {cost['currency']} ({cost['approver_hours']} approver hours)")


def _requests(result: Mapping[str, Any]) -> None:
    totals = result["totals"]
    table = _table()
    for name, value in (
        ("requests", totals["requests"]),
        ("known", totals["known"]),
        ("unknown", totals["unknown"]),
        ("changed", _share(totals["changed"])),
        ("outcome changed", _share(totals["outcome_changed"])),
        ("hours, mean change", _mean(totals["hours"]["mean_change"])),
        ("breached before, after", f"{totals['breached']['before']}, {totals['breached']['after']}"),
        ("cost before, after", f"{totals['cost']['before']}, {totals['cost']['after']}"),
    ):
        table.add_row(name, str(value))
    out.print(table)
    known = [row for row in result["rows"] if row["after"] is not None]
    _compared("routes", known, lambda side: [" · ".join(side["route"]) or "no stage"])
    _compared("decisions of", known, lambda side: side["approvers"])
    _changes([row for row in result["rows"] if row["changed"] or row["unknown"]])
    out.print(f"[dim]{escape(result['rule'])}[/dim]", soft_wrap=True)


def _compared(what: str, rows: Sequence[Mapping[str, Any]], of: Any) -> None:
    before = Counter(name for row in rows for name in of(row["before"]))
    after = Counter(name for row in rows for name in of(row["after"]))
    most = max([*before.values(), *after.values()], default=0)
    if not most:
        return
    table = _table(what, "before", "after", "")
    for name, _ in (before + after).most_common(_MOST_ROWS):
        bar = "━" * max(1, round(after[name] / most * _WIDE)) if after[name] else ""
        table.add_row(escape(name), str(before[name]), str(after[name]), f"[blue]{bar}[/blue]")
    out.print(table)


def _changes(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    table = _table("request", "changes", "before", "after")
    for row in rows[:_MOST_ROWS]:
        after = row["after"]
        text = f"{after['outcome'] or 'open'} after {duration_text(after['duration_ms'])}" if after else ""
        before = f"{row['before']['outcome'] or 'open'} after {duration_text(row['before']['duration_ms'])}"
        table.add_row(row["request_id"], ", ".join(row["changed"]), before, escape(text or row["unknown"] or ""))
    out.print(table)
    if len(rows) > _MOST_ROWS:
        out.print(f"[dim]and {len(rows) - _MOST_ROWS} more requests[/dim]")


def _share(figure: Mapping[str, Any]) -> str:
    if figure["share"] is None:
        return str(figure["count"])
    return f"{figure['count']} ({figure['share']:.0%}, 95 % from {figure['low']:.0%} to {figure['high']:.0%})"


def _mean(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None or figure["low"] is None:
        return str(figure["mean"])
    return f"{figure['mean']} (95 % from {figure['low']} to {figure['high']})"


def _table(*head: str) -> Table:
    return Table(*head, box=None, show_header=bool(head), pad_edge=False, header_style="dim")
