"""`placet forecast-log`, `placet backtest-log`: try forecasts and blueprints on an imported log, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from placet.definition.model import parse_definition
from placet.errors import InputInvalid
from placet.json_text import read_json
from service.event_logs import trials
from service.event_logs.content import LogContent, content_of
from service.event_logs.trials import CandidateOfLog
from storage.clock import time_of
from worker.settings import Settings

Log = Annotated[str, typer.Argument(help="The id of an event log, as `placet import-log` prints it.")]
Least = Annotated[int, typer.Option(help="Stages with fewer decisions are left out.", min=1, max=100_000)]
_NAMES = {"placet": "Placet", "median_of_stage": "median of the stage", "median_of_all": "median of all"}


def forecast_log_command(log: Log, min_occurrences: Least = 10, as_json: Json = False) -> None:
    """Tell how right forecasts are about the latest cases of an event log, beside naive ones."""
    with errors_as_messages():
        content, _ = run(_read(settings_with(), log))
        found = trials.forecasts_on(content, min_occurrences)
    if as_json:
        print_json(found)
        return
    if found["state"] == "too_few":
        out.print("Too few cases have ended to forecast anything.", markup=False)
    else:
        out.print(
            f"{found['held_out']:,} cases at {found['moments']:,} moments; learned from {found['learned_from']:,} "
            f"earlier ones, calibrated on {found['calibrated_on']:,} between.",
            markup=False,
            soft_wrap=True,
        )
    for one in found.get("scores", ()):
        width = "no end" if one["width_hours"] is None else f"{one['width_hours']:.1f} h"
        brier = "none" if one["brier"] is None else f"{one['brier']:.3f}"
        out.print(
            f"  {_NAMES[one['forecast']]}: {one['coverage']:.1%} of the ranges held, width {width}, error "
            f"{one['error_hours']:.1f} h, Brier {brier}",
            markup=False,
            soft_wrap=True,
        )
    _print_left_out(found)


def backtest_log_command(
    log: Log,
    blueprint: Annotated[
        Path | None, typer.Option(help="A blueprint (JSON) that the cases are run through.", dir_okay=False)
    ] = None,
    patch: Annotated[
        str | None, typer.Option(help="A JSON Patch of that blueprint, or of the one that the log shows.")
    ] = None,
    min_occurrences: Least = 10,
    as_json: Json = False,
) -> None:
    """Run the later cases of an event log through a blueprint, and show what would have changed."""
    with errors_as_messages():
        if blueprint is None and patch is None:
            raise InputInvalid("Give --blueprint FILE, --patch JSON, or both.")
        raw = None if blueprint is None else _json_of(blueprint)
        operations = None if patch is None else read_json(patch.encode(errors="surrogatepass"))
        content, tried = run(_read(settings_with(), log, raw, operations))
        found = trials.backtest_on(content, tried, min_occurrences)
    if as_json:
        print_json(found)
        return
    totals = found["totals"]
    hours = totals["hours"]
    out.print(
        f"{found['replayed']:,} of {found['later_cases']:,} later cases: {totals['known']:,} came to their end, "
        f"{totals['changed']['count']:,} in another way; another outcome {totals['outcome_changed']['count']:,}.",
        markup=False,
        soft_wrap=True,
    )
    out.print(
        f"  median hours {hours['median_before']} before, {hours['median_after']} after; late "
        f"{totals['breached']['before']:,} before, {totals['breached']['after']:,} after",
        markup=False,
        soft_wrap=True,
    )
    for reason, count in totals["unknown_reasons"].items():
        out.print(f"  unknown in {count:,}: {reason}", markup=False, soft_wrap=True)
    _print_left_out(found)


async def _read(
    settings: Settings, log: str, blueprint: Any = None, patch: Any = None
) -> tuple[LogContent, CandidateOfLog]:
    definition = None if blueprint is None else parse_definition(blueprint)
    async with migrated_database(require_installation(settings)) as database:

        def read(connection: Connection) -> tuple[LogContent, CandidateOfLog]:
            now = time_of(connection)
            return content_of(connection, log, None), trials.candidate_of(connection, definition, blueprint, patch, now)

        return await database.read(read)


def _json_of(file: Path) -> Any:
    try:
        return read_json(file.read_bytes())
    except OSError as error:
        raise InputInvalid(f"{file} cannot be read: {error.strerror}.") from error


def _print_left_out(found: dict[str, Any]) -> None:
    for one in found["left_out"]:
        out.print(f"  left out, as they go another way ({one['kind']}): {one['count']:,}", markup=False)
