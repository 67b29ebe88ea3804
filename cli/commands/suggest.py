"""`placet suggest`: mine the past of this installation's processes. It needs no engine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.evaluation import evaluating
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json, progress
from insight.scoring.scorer import LEAST_OF_BOTH
from placet.audit.admin_acts import OPERATOR
from placet.audit.chain import moment
from service.suggestions.generation import DAYS, LEAST_OCCURRENCES, MOST_DAYS, Generated, Order, generate
from storage.tables.suggestions import WorkflowSuggestion
from worker.settings import Settings

_NOT_TOLD = {"subject", "subject_id", "words", "blueprint", "stored_format", "draft_id"}  # as in the API's lists


def suggest_command(
    days: Annotated[int, typer.Option(help="Of how many days the past is mined.", min=1, max=MOST_DAYS)] = DAYS,
    min_occurrences: Annotated[
        int, typer.Option(help="How often something has to have occurred.", min=1, max=1_000_000)
    ] = LEAST_OCCURRENCES,
    template: Annotated[str | None, typer.Option(help="The name of a process; without, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Mine the past of processes, and store what it suggests to change in them."""
    settings = settings_with()
    with errors_as_messages():
        require_installation(settings)
    made = run(_generate(settings, Order(days=days, min_occurrences=min_occurrences, template=template)))
    for name, why in made.left_out:
        progress(f"{name}: {why}")
    if as_json:
        print_json(_document(made))
        return
    out.print(f"{len(made.created)} new suggestions, {made.refreshed} with newer evidence.", markup=False)
    if made.held_back:
        out.print(f"{made.held_back} held back: the like is hardly ever accepted here.", markup=False)
    for row in made.created:
        out.print(
            f"{row.template} {row.version}: {row.title}\n  {row.description}\n"
            f"  {row.suggestion_type}, confidence {row.confidence:.3f}, id {row.id}",
            markup=False,
            soft_wrap=True,
        )


def _document(made: Generated) -> dict[str, Any]:
    """Return what came of a run in the names that the API has for it."""
    return {
        "created": len(made.created),
        "items": [_item(row) for row in made.created],
        "refreshed": made.refreshed,
        "held_back": made.held_back,
        "left_out": [{"template": name, "message": why} for name, why in made.left_out],
        "model": {
            "used": made.learned.scorer is not None,
            "accepted": made.learned.accepted,
            "rejected": made.learned.rejected,
            "least_of_both": LEAST_OF_BOTH,
            "brier": made.learned.brier,
            "brier_of_base_rate": made.learned.brier_of_base_rate,
        },
    }


def _item(row: WorkflowSuggestion) -> dict[str, Any]:
    """Return a new suggestion, which nobody has reviewed and which has no draft."""
    kept = row.model_dump(exclude=_NOT_TOLD)
    return kept | {"draft": None, "created_at": moment(row.created_at), "updated_at": moment(row.updated_at)}


async def _generate(settings: Settings, order: Order) -> Generated:
    async with evaluating(settings) as evaluator:
        return await generate(evaluator, order, by=OPERATOR)
