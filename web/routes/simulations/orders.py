"""Ordering a simulation by a form: the process and the mode, then what the mode needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import InputInvalid
from service.simulations.simulations import create
from web.forms.reading import Entries
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, judged, see_other, shown
from web.security import PageRoute
from web.simulations.effort import effort
from web.simulations.order import (
    LOOKS_AT_OTHERS,
    Choices,
    Prefilled,
    check,
    form_of,
    mode_of,
    read_choices,
    read_prefilled,
    spec_of,
)
from web.simulations.wording import ABOUT, MODES
from web.views.inbox import read_inbox_count
from web.views.processes import ProcessList, read_processes
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/simulations/new", route_class=PageRoute)

Identifier = Annotated[str, Path(max_length=200)]


@router.get("")
async def choose(request: Request, here: Here, visitor: SignedIn) -> Response:
    """List the processes that can be simulated; with `from` or `request`, go on to the form that these fill."""
    given = request.query_params

    def read(connection: Connection) -> tuple[Prefilled, ProcessList, str | None]:
        filled = read_prefilled(connection, visitor.principal, given, visitor.wording)
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return filled, read_processes(connection, given), badge

    filled, found, badge = await here.context.database.read(read)
    if filled.template_id:
        usual = "rehearse" if given.get("branch") else str(filled.spec.get("mode") or "replay")
        kept = {name: given[name] for name in ("from", "branch", "request") if given.get(name)}
        query = urlencode({"mode": mode_of(given.get("mode") or usual), **kept})
        return see_other(f"/simulations/new/{filled.template_id}?{query}")
    return shown(request, "simulations/choose.html", section="simulations", badge=badge, processes=found)


@router.get("/{template_id}")
async def order_form(request: Request, here: Here, visitor: SignedIn, template_id: Identifier) -> HTMLResponse:
    """Show the form of a mode for one version of a process."""
    given = request.query_params
    mode = _allowed(mode_of(given.get("mode", "")), visitor)

    def read(connection: Connection) -> tuple[Choices, Prefilled]:
        filled = read_prefilled(connection, visitor.principal, given, visitor.wording)
        choices = read_choices(
            connection,
            visitor.principal,
            template_id,
            here.versions,
            visitor.wording,
            mode,
            request_id=str(filled.spec.get("request_id") or ""),
        )
        return choices, filled

    choices, filled = await here.context.database.read(read)
    kept = {name: given[name] for name in ("from", "branch", "request") if given.get(name)}
    return await _form(request, here, visitor, mode, choices, filled.spec, kept=kept)


@router.post("/{template_id}")
async def order(request: Request, here: Here, visitor: SignedIn, template_id: Identifier) -> Response:
    """Check a form, and start its simulation; with `step=check` only check it."""
    entries = await entries_of(request, visitor)
    mode = _allowed(mode_of(entries.text("mode")), visitor)
    choices = await here.context.database.read(
        read_choices,
        visitor.principal,
        template_id,
        here.versions,
        visitor.wording,
        mode,
        request_id=entries.text("request_id")[:200],
    )
    raw = spec_of(mode, choices, entries)
    other = entries.text("compare_with")[:200]
    key = entries.text("key") or fresh_key()
    error: InputInvalid | None = None
    try:
        check(raw, choices, visitor.wording)
        if entries.text("step") != "check":
            return await _start(here, visitor, raw, other, done_key(visitor, key)[:32], mode)
    except InputInvalid as found:
        error = found
    return await _form(
        request, here, visitor, mode, choices, raw, error=error, key=key, compare_with=other, entries=entries
    )


async def _start(  # noqa: PLR0917 - what is started, and whom for
    here: Here, visitor: Visitor, raw: dict[str, Any], other: str, simulation_id: str, mode: str
) -> Response:
    """Start one simulation, or two of the same request with two versions."""
    if not other or mode not in {"explore", "rehearse"}:
        found = await create(here.context, visitor.principal, raw, simulation_id=simulation_id, fresh=False, later=True)
        return see_other(f"/simulations/{found.row.id}")
    second = await here.context.database.read(
        read_choices, visitor.principal, other, here.versions, visitor.wording, mode
    )
    known = {variable.name for variable in second.definition.variables}
    given = {name: value for name, value in raw["input"].items() if name in known}
    both = (raw, raw | {"version": second.row_version, "input": given})
    ids = [simulation_id, done_key(visitor, f"{simulation_id}:second")[:32]]
    for spec, ident in zip(both, ids, strict=True):
        await create(here.context, visitor.principal, spec, simulation_id=ident, fresh=False)
    query = urlencode({"left": f"simulation:{ids[0]}", "right": f"simulation:{ids[1]}"})
    return see_other(f"/simulations/compare?{query}")


def _allowed(mode: str, visitor: Visitor) -> str:
    """Return the mode; one that compares real requests only where the reader may use it."""
    return "explore" if mode in {"backtest", "shadow"} and not visitor.principal.access & LOOKS_AT_OTHERS else mode


async def _form(  # noqa: PLR0917 - as the routes have it
    request: Request,
    here: WebContext,
    visitor: Visitor,
    mode: str,
    choices: Choices,
    given: Mapping[str, Any],
    *,
    error: InputInvalid | None = None,
    key: str = "",
    compare_with: str = "",
    kept: Mapping[str, str] | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    say, principal = visitor.wording.say, visitor.principal
    form = form_of(mode, choices, given, principal, visitor.wording, compare_with=compare_with)
    checked = judged(form.every, error, entries)
    fields, count = checked["fields"], (len(form.inputs), len(form.script))
    modes = [
        {
            "name": name,
            "word": say(word),
            "address": f"/simulations/new/{choices.version.id}?" + urlencode({"mode": name, **(kept or {})}),
        }
        for name, word in MODES.items()
        if _allowed(name, visitor) == name
    ]
    return shown(
        request,
        "simulations/order.html",
        section="simulations",
        badge=await badge_of(here, visitor),
        status=200 if error is None else 422,
        mode=mode,
        about=say(ABOUT[mode]),
        modes=modes,
        heading=choices.definition.name,
        version=choices.row_version,
        versions=[
            {
                "word": word,
                "address": f"/simulations/new/{ident}?" + urlencode({"mode": mode, **(kept or {})}),
                "here": ident == choices.version.id,
            }
            for ident, word in choices.versions
        ],
        action=f"/simulations/new/{choices.version.id}",
        faults=checked["faults"],
        inputs=fields[: count[0]],
        script=fields[count[0] : sum(count)],
        settings=fields[sum(count) :],
        about_request=choices.about,
        effort=effort(mode, choices.past, given, here.context.jobs.at_hand, visitor.wording),
        key=key or fresh_key(),
    )
