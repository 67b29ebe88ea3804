"""`placet canaries`: versions that are given a share of the requests. It needs no engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from cli.database import migrated_database
from cli.evaluation import evaluating
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import out, print_json
from insight.canary.comparison import ALPHA
from placet.audit.admin_acts import OPERATOR, ActedBy
from placet.audit.chain import moment
from service.canaries.beginning import begin
from service.canaries.ending import promote, revert
from service.canaries.reading import CanaryFound, found, list_
from service.canaries.terms import HORIZON_SECONDS, LONGEST_HORIZON, Margins, Terms, margins_of
from storage.clock import time_of
from storage.queries import canaries
from storage.tables.canaries import WorkflowCanary
from worker.settings import Settings

canaries_app = typer.Typer(no_args_is_help=True, help="List canaries, begin one, and promote or revert its version.")
End = Callable[..., WorkflowCanary]
Ident = Annotated[str, typer.Argument(help="The canary's id, as `list` shows it.")]
Notes = Annotated[str | None, typer.Option(help="Why; it is kept with the canary.")]
# Columns that are not shown, or shown as something else.
_HIDDEN = {
    "duration_margin_seconds", "outcome_margin", "sla_margin", "cost_margin", "owner", "figures", "stored_format",
}  # fmt: skip
_STATUSES = ("running", "promoted", "reverted")


@canaries_app.callback()
def _canaries() -> None:
    """List canaries, begin one, and promote or revert its version."""


@canaries_app.command("list")
def list_command(
    template: Annotated[str | None, typer.Option(help="The name of a process; without, all of them.")] = None,
    status: Annotated[str | None, typer.Option(help="running, promoted or reverted; without, all.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most, the newest.", min=1, max=1_000)] = 50,
    as_json: Json = False,
) -> None:
    """List canaries, newest first."""
    if status is not None and status not in _STATUSES:
        raise typer.BadParameter(f"There is no status {status!r}; there are: {', '.join(_STATUSES)}.")
    _print_all(run(_listed(settings_with(), {"template": template, "status": status}, limit)), as_json=as_json)


@canaries_app.command("show")
def show_command(canary: Ident, as_json: Json = False) -> None:
    """Show a canary with its counts, intervals and verdicts."""
    _print(run(_one(settings_with(), canary)), as_json=as_json)


@canaries_app.command("begin")
def begin_command(  # noqa: PLR0917 - typer passes them by name
    template: Annotated[str, typer.Argument(help="The name of a process.")],
    version: Annotated[str, typer.Argument(help="Its newest version, which is published already.")],
    share: Annotated[float, typer.Option(help="The share of new requests that it is given.", min=0, max=1)],
    people_sample: Annotated[
        float | None, typer.Option(help="The part of the share that people decide.", min=0, max=1)
    ] = None,
    duration_margin: Annotated[
        float | None, typer.Option(help="How many seconds longer requests may take in the mean.", min=0)
    ] = None,
    outcome_margin: Annotated[
        float | None, typer.Option(help="By how much the approved share may differ, either way.", min=0, max=1)
    ] = None,
    sla_margin: Annotated[
        float | None, typer.Option(help="By how much the share that misses a deadline may be greater.", min=0, max=1)
    ] = None,
    horizon_seconds: Annotated[
        float, typer.Option(help="How long a request is measured.", min=1, max=LONGEST_HORIZON)
    ] = HORIZON_SECONDS,
    alpha: Annotated[float, typer.Option(help="The chance of a wrong revert, at most.", min=0.0001, max=0.5)] = ALPHA,
    sla_id: Annotated[str | None, typer.Option(help="The SLA whose verdict counts as missed.")] = None,
    notes: Notes = None,
    as_json: Json = False,
) -> None:
    """Give a published version a share of the new requests, and revert it where it does harm."""
    margins = Margins(duration_seconds=duration_margin, outcome=outcome_margin, sla=sla_margin)
    terms = Terms(
        template=template,
        version=version,
        share=share,
        margins=margins,
        people_sample=people_sample,
        horizon_seconds=horizon_seconds,
        alpha=alpha,
        sla_id=sla_id,
        notes=notes,
    )
    _print(run(_begun(settings_with(), terms)), as_json=as_json)


@canaries_app.command("promote")
def promote_command(canary: Ident, notes: Notes = None, as_json: Json = False) -> None:
    """End a canary with its new version, which every new request is given."""
    _print(run(_ended(settings_with(), promote, canary, notes)), as_json=as_json)


@canaries_app.command("revert")
def revert_command(canary: Ident, notes: Notes = None, as_json: Json = False) -> None:
    """End a canary with the old version; the new one is out of use."""
    _print(run(_ended(settings_with(), revert, canary, notes)), as_json=as_json)


async def _listed(settings: Settings, equal: dict[str, str | None], limit: int) -> list[CanaryFound]:
    async with migrated_database(require_installation(settings)) as database:
        return list((await database.read(list_, None, limit=limit, equal=equal)).items)


async def _one(settings: Settings, canary_id: str) -> CanaryFound:
    def read(connection: Connection) -> CanaryFound:
        return found(connection, canaries.get(connection, canary_id))

    async with migrated_database(require_installation(settings)) as database:
        return await database.read(read)


async def _begun(settings: Settings, terms: Terms) -> CanaryFound:
    async with evaluating(require_installation(settings)) as evaluator:
        return await begin(evaluator, terms, canary_id=uuid.uuid4().hex, by=OPERATOR)


async def _ended(settings: Settings, end: End, canary_id: str, notes: str | None) -> CanaryFound:
    def write(connection: Connection) -> CanaryFound:
        by: ActedBy = OPERATOR
        return found(connection, end(connection, canary_id, by, time_of(connection), notes=notes))

    async with migrated_database(require_installation(settings)) as database:
        return await database.write(write)


def _print_all(items: list[CanaryFound], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(one) for one in items])
        return
    for one in items:
        _tell(one)


def _print(one: CanaryFound, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(one))
        return
    _tell(one)
    for figure in one.row.figures:
        ends, verdict = figure["difference"], figure["verdict"].replace("_", " ")
        margin = "" if figure["margin"] is None else f", margin {figure['margin']:g}"
        out.print(
            f"  {figure['measure']}: the difference is between {ends['low']:g} and {ends['high']:g}{margin}: {verdict}",
            markup=False,
            soft_wrap=True,
        )


def _tell(one: CanaryFound) -> None:
    row, counts = one.row, one.counts
    given = f"{counts['new']} new, {counts['old']} old, {counts['sample']} of the sample, {counts['measured']} measured"
    out.print(
        f"{row.id}  {row.template} {row.version} beside {row.baseline}: {row.status}, share {row.share:g}, "
        f"began {row.began_at:%Y-%m-%d %H:%M} UTC; requests: {given}",
        markup=False,
        soft_wrap=True,
    )


def _document(one: CanaryFound) -> dict[str, Any]:
    """Return a canary in the names that the API has for it."""
    row = one.row
    document = row.model_dump(exclude=_HIDDEN)
    return document | {
        "margins": asdict(margins_of(row)),
        "began_at": moment(row.began_at),
        "ended_at": None if row.ended_at is None else moment(row.ended_at),
        "compared_at": moment(row.compared_at),
        "comparisons": row.figures,
        "requests": {name: one.counts[name] for name in ("new", "old", "sample", "measured")},
    }
