"""`placet draft`: a blueprint from words, by the language model that is set up. It needs no engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from cli.database import migrated_database
from cli.evaluation import evaluating
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import err, errors_as_messages, out, print_json, progress
from placet.audit.admin_acts import OPERATOR
from placet.errors import DraftingFailed, InputInvalid, NotFound, NotPermitted
from service.drafting.drafting import Drafted, draft, preview
from service.drafting.settings import DraftingSettings, settings_of
from service.drafting.writing import described
from service.suggestions.suggestions import Author
from storage.queries.people import people
from worker.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    words: str
    template: str | None
    person: str | None


def draft_command(  # noqa: PLR0917 - typer passes them by name
    words: Annotated[str, typer.Argument(help="What the process is to do, or how it is to change.")],
    template: Annotated[str | None, typer.Option(help="The name of a published process that is to change.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print what would be sent, and send nothing.")] = False,
    to: Annotated[
        Path | None, typer.Option("--out", help="Write the blueprint to this file too, which must not be there yet.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option("--as", help="Whose draft it becomes, by id: a designer or admin. Without, it is the operator's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Have a language model write a blueprint, which is proved and stored as a draft or a suggestion.

    What is sent is printed on standard error.
    """
    settings, asked = settings_with(), _Asked(words=words, template=template, person=person)
    if show:
        sent = run(_preview(settings, asked))
        if as_json:
            print_json({"sent": sent})
        else:
            _print(sent)
        return
    with errors_as_messages():
        drafting = settings_of(settings.drafting)
        if to is not None and to.exists():
            raise InputInvalid(f"{to} is there already; name another file.")
    made = run(_draft(settings, drafting, asked))
    if to is not None:
        to.write_text(json.dumps(made.written.blueprint, ensure_ascii=False, indent=2) + "\n")
    for finding in made.written.findings:
        err.print(f"  {finding['pointer'] or '/'}: {finding['message']}", markup=False, soft_wrap=True)
    if as_json:
        print_json(_document(made))
        return
    stored = f"draft {made.draft.id}" if made.draft is not None else ""
    if made.suggestion is not None:
        stored = f"suggestion {made.suggestion.row.id}"
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in made.written.outcomes.items())
    out.print(
        f"{made.written.blueprint['name']}: stored as the {stored}, written in {made.written.tries} tries. "
        f"Branches by outcome: {outcomes}.",
        markup=False,
        soft_wrap=True,
    )


async def _preview(settings: Settings, asked: _Asked) -> tuple[dict[str, str], ...]:
    async with migrated_database(settings) as database:
        return described(await preview(database, asked.words, asked.template))


async def _draft(settings: Settings, drafting: DraftingSettings, asked: _Asked) -> Drafted:
    async with evaluating(settings) as evaluator:
        author = Author(person=await evaluator.database.read(_author, asked.person), acted_by=OPERATOR)
        first = described(await preview(evaluator.database, asked.words, asked.template))
        progress(f"This is sent to {drafting.model} ({drafting.url or 'at its provider'}):")
        _tell(first)
        try:
            made = await draft(
                evaluator,
                drafting,
                author,
                asked.words,
                template=asked.template,
                ident=uuid.uuid4().hex,
            )
        except DraftingFailed as error:
            _tell(error.sent[len(first) :])
            raise
        _tell(described(made.written.sent)[len(first) :])
        return made


def _author(connection: Connection, named: str | None) -> str | None:
    """Return the id of who a draft is for; raises NotFound, and NotPermitted for who could do nothing with it."""
    if named is None:
        return None
    found = people.find(connection, named.removeprefix("user:"))
    if found is None:
        raise NotFound(f"There is no person {named!r}; `placet people list` shows who there is.")
    if not {"designer", "admin"} & {*found.access}:
        raise NotPermitted(f"{named} is neither a designer nor an admin, and could do nothing with a draft.")
    return found.id


def _document(made: Drafted) -> dict[str, Any]:
    return {
        "draft": None if made.draft is None else {"id": made.draft.id, "name": made.draft.name},
        "suggestion": None if made.suggestion is None else {"id": made.suggestion.row.id, "source": "llm"},
        "source": "llm",
        "model": made.model,
        "blueprint": made.written.blueprint,
        "findings": made.written.findings,
        "outcomes": made.written.outcomes,
        "tries": made.written.tries,
        "sent": described(made.written.sent),
    }


def _tell(messages: Iterable[dict[str, str]]) -> None:
    for one in messages:
        progress(f"[{one['role']}] {one['content']}")


def _print(messages: Iterable[dict[str, str]]) -> None:
    for one in messages:
        out.print(f"[{one['role']}]\n{one['content']}\n", markup=False, soft_wrap=True)
