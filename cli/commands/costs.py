"""`placet costs`: what delay and people's work cost. It needs no engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.commands.definitions import read
from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from insight.costs.ledger import CostRow, Part
from placet.errors import InputInvalid
from service.costs.asking import order_of
from service.costs.document import document
from service.costs.report import CostOrder, CostReport, cost_report
from worker.settings import Settings

_NO_PRICE = "no price"


def costs_command(  # noqa: PLR0917 - typer passes them by name
    template: Annotated[str | None, typer.Option(help="The name of a process; without, all of them.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="The beginning of the period: a month (2026-03), a day, or a moment.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="The end of the period, which is no part of it; without, of this month.")
    ] = None,
    group_by: Annotated[
        str, typer.Option(help="What rows are told apart by: template, stage, month, or several, with commas.")
    ] = "template,month",
    timezone: Annotated[str, typer.Option(help="The time zone in which months begin.")] = "UTC",
    prices: Annotated[
        Path | None, typer.Option(help="A JSON file with prices, as for simulations; without, those of simulations.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what delay and people's work cost in a period, by process, stage and month."""
    settings = settings_with()
    with errors_as_messages():
        require_installation(settings)
        given = {} if prices is None else read(prices)
        if not isinstance(given, dict):
            raise InputInvalid("The file of prices holds no JSON object; see docs/costs.md.")
        asked = partial(
            order_of,
            since=since,
            until=until,
            zone=timezone,
            group_by=group_by,
            template=template,
            prices=given,
        )
        report = run(_report(settings, asked))
    if as_json:
        print_json(document(report))
        return
    _show(report)


async def _report(settings: Settings, asked: Callable[[datetime], CostOrder]) -> CostReport:
    async with migrated_database(settings) as database:
        return await cost_report(database, None, asked(database.now()), clock=database.now, seconds=None)


def _show(report: CostReport) -> None:
    order = report.order
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in order.group_by:
        table.add_column({"template": "Process", "stage": "Stage", "month": "Month"}[name], overflow="fold")
    for title in ("Requests", "Open", "Decisions", "People, h", "Delay, h", "People", "Delay", "Total"):
        table.add_column(title, justify="right")
    for row in report.rows:
        table.add_row(*(escape(_named(row, name)) for name in order.group_by), *_figures(row))
    for row in report.totals:
        table.add_row(*("Total" if not place else "" for place, _ in enumerate(order.group_by)), *_figures(row))
    out.print(table)
    first, last = (at.astimezone(order.zone).isoformat() for at in (order.since, order.until))
    out.print(f"From {first} up to {last}; what is open is counted to {report.now.isoformat()}.", soft_wrap=True)
    for process, used in report.prices.items():
        if used.simulation_id is not None:
            told = f"{process}: prices of the simulation {used.simulation_id} by {used.simulated_by}"
            out.print(told, markup=False, soft_wrap=True)


def _named(row: CostRow, name: str) -> str:
    if name == "stage":
        return row.key.stage or "(outside of stages)"
    return str(getattr(row.key, name))


def _figures(row: CostRow) -> tuple[str, ...]:
    return (
        str(row.requests),
        str(row.open_requests),
        str(row.decisions),
        f"{row.people_hours:.2f}",
        f"{row.delay_hours:.2f}",
        _amount(row, row.people_cost, "people"),
        _amount(row, row.delay_cost, "delay"),
        _NO_PRICE if row.total_cost is None else f"{row.total_cost:f} {row.currency}",
    )


def _amount(row: CostRow, amount: Any, part: Part) -> str:
    """Return an amount; one that is not of all in the row says so."""
    if amount is None:
        return _NO_PRICE
    return f"{amount:f}" + (", rest no price" if part in row.no_price else "")
