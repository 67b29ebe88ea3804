"""`placet simulate`: a process tried out before anybody is asked; explore needs neither an engine nor stored people."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from api.body import read_json, with_floats
from cli import assembly
from cli.output import err, out, progress
from cli.templates import read
from placet.errors import InputInvalid, Problem, Unavailable
from simulation.order import Order, parse_order
from simulation.report import html_report
from simulation.service import Service, failed
from storage import simulations
from worker.settings import Settings

_MOST_STEPS = 60


def order_of(
    file: Path | None,
    *,
    mode: str,
    given: str | None,
    requester: str | None,
    script: Path | None,
    more: dict[str, Any] | None = None,
) -> Order:
    """Return the order that a command line asks for; raises InputInvalid."""
    raw: dict[str, Any] = {"mode": mode, **(more or {})}
    if file is not None:
        raw["blueprint"] = read(file)
    if given is not None:
        raw["input"] = _exact(given)
    if requester is not None:
        raw["requester"] = requester
    if script is not None:
        raw["script"] = with_floats(read(script))
    return parse_order(raw)


async def simulate(settings: Settings, order: Order, *, quiet: bool = False) -> dict[str, Any]:
    """Carry an order out against this installation's people and past, with the engine where the mode needs one.

    Where nobody is named as the requester, somebody who has a manager asks. Nothing is stored.
    """
    client = None
    there = assembly.engine_settings(settings)
    if order.mode in {"rehearse", "replay"}:
        try:
            client = await assembly.connected(there)
        except Unavailable as error:
            progress(f"without an engine: {error.message}")
    async with assembly.open_database(settings) as database:
        service = Service(
            database=database,
            client=client,
            rehearsals=there.rehearsal_namespace,
            ui_url=assembly.temporal_ui(settings, there),
        )
        async with database.session() as session:
            requester = order.person or await simulations.somebody(session) or "requester"
        simulation_id = uuid.uuid4().hex
        with _Progress(order.mode, quiet=quiet) as told:
            result = await service.carry_out(
                order, requester=requester, simulation_id=simulation_id, now=datetime.now(UTC), tell=told
            )
    return {"id": simulation_id, "status": "failed" if failed(result) else "completed", **result}


def write_report(result: dict[str, Any], file: Path) -> None:
    """Write the answer as a page that stands alone."""
    try:
        file.write_text(html_report(result), encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"{file} cannot be written: {error.strerror}") from error


def show(result: dict[str, Any]) -> bool:
    """Print an answer for people; returns whether anything could be simulated."""
    title = f"{result.get('template', '')} {result.get('version') or ''}"
    out.print(f"[bold]{escape(title)}[/bold], {escape(result['mode'])}", soft_wrap=True)
    for fault in result.get("validation_errors", ()):
        out.print(f"  [red]{escape(fault['pointer'] or '/')}[/red] {escape(fault['message'])}", soft_wrap=True)
    if "totals" in result:
        _show_backtest(result)
    elif not failed(result):
        _show_path(result)
        _show_branches(result)
        _show_time(result)
    if link := (result.get("links") or {}).get("temporal_ui"):
        out.print(f"History: {link}", soft_wrap=True)
    for warning in result.get("warnings", ()):
        out.print(f"[yellow]{escape(warning)}[/yellow]", soft_wrap=True)
    return not failed(result)


class _Progress:
    """A line that shows how a simulation goes; nothing where nobody watches."""

    def __init__(self, mode: str, *, quiet: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(), TextColumn(mode), TextColumn("{task.description}"), TimeElapsedColumn(), console=err,
            transient=True, disable=quiet or not err.is_terminal,
        )  # fmt: skip
        self._count = 0

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._bar.start()
        self._task = self._bar.add_task("", total=None)
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, what: dict[str, Any]) -> None:
        self._count += 1
        text = f"{what['done']} requests" if "done" in what else f"{self._count} so far"
        self._bar.update(self._task, description=text)


def _show_path(result: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for step in result["execution_path"][:_MOST_STEPS]:
        table.add_row(f"[dim]{_span(step['after_ms'])}[/dim]", escape(step["stage"] or ""), escape(step["what"]))
    out.print(table)
    left = len(result["execution_path"]) - _MOST_STEPS
    if left > 0:
        out.print(f"[dim]and {left} more steps[/dim]")


def _show_branches(result: dict[str, Any]) -> None:
    branches = result["branch_explorations"]
    if not branches:
        return
    tree = Tree(f"[bold]{len(branches)} ways through[/bold]")
    nodes: dict[tuple[str, ...], Tree] = {(): tree}
    for branch in branches:
        route = tuple(branch["route"])
        for depth in range(1, len(route) + 1):
            if route[:depth] not in nodes:
                nodes[route[:depth]] = nodes[route[: depth - 1]].add(escape(route[depth - 1]))
        witness = ", ".join(f"{name} = {value}" for name, value in branch["witness"].items())
        colour = {"approved": "green", "rejected": "red"}.get(branch["outcome"] or "", "yellow")
        ended = branch["outcome"] or branch["stopped"] or "open"
        text = f"[{colour}]{escape(ended)}[/{colour}] after {_span(branch['predicted_duration_ms'])}"
        nodes[route].add(f"{text} [dim]{escape(witness)}[/dim]")
    out.print(tree)


def _show_time(result: dict[str, Any]) -> None:
    predicted = result["predicted_duration"] or {}
    cost = result["cost"] or {}
    out.print(f"Outcome: {escape(str(result['outcome'] or result['stopped']))}")
    out.print(
        f"Takes: {_span(predicted.get('p50_ms'))}, nine in ten within {_span(predicted.get('p90_ms'))} "
        f"[dim]({escape(predicted.get('rule', ''))})[/dim]",
        soft_wrap=True,
    )
    if cost:
        out.print(f"Costs: {cost['total']} {cost['currency']} ({cost['approver_hours']} approver hours)")


def _show_backtest(result: dict[str, Any]) -> None:
    totals = result["totals"]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (
        ("requests", totals["requests"]),
        ("known", totals["known"]),
        ("unknown", totals["unknown"]),
        ("changed", totals["changed"]["count"]),
        ("outcome changed", totals["outcome_changed"]["count"]),
        ("hours, mean change", totals["hours"]["mean_change"]["mean"]),
        ("breached before, after", f"{totals['breached']['before']}, {totals['breached']['after']}"),
    ):
        table.add_row(name, str(value))
    out.print(table)
    out.print(f"[dim]{escape(result['rule'])}[/dim]", soft_wrap=True)


def _exact(text: str) -> Any:
    """Read the input as JSON with exact numbers."""
    try:
        value = read_json(text.encode())
    except InputInvalid as error:
        problems = (Problem(pointer="/input", message=error.message),)
        raise InputInvalid(f"--input: {error.message}", problems=problems) from None
    if not isinstance(value, dict):
        raise InputInvalid("--input needs a JSON object, such as '{\"amount\": 7200}'")
    return value


def _span(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "no end"
    minutes = milliseconds // 60_000
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or f"{milliseconds / 1000:g} s"
