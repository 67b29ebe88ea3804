"""`placet ask`: ask for an approval from a script or a pipeline, over the API, of an installation anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cli.terminal.options import Json
from cli.terminal.output import EXIT_UNAVAILABLE, EXIT_USAGE, err, out, print_json, progress
from placet.client import (
    Action,
    Busy,
    Cancelled,
    ChangesRequested,
    ClaimRefused,
    Client,
    ClientError,
    EndedOtherwise,
    Expired,
    Failed,
    NotGranted,
    Problem,
    Rejected,
    Request,
    StillPending,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    Withdrawn,
    require_approved,
)
from placet.client.decoding import Undecodable, decode

EXIT_CODES: dict[type[ClientError], int] = {
    Rejected: 10,
    Expired: 11,
    Withdrawn: 12,
    Cancelled: 13,
    Failed: 14,
    EndedOtherwise: 15,
    ChangesRequested: 16,
    StillPending: 20,
    ClaimRefused: 21,
    Unreachable: EXIT_UNAVAILABLE,
    Unavailable: EXIT_UNAVAILABLE,
    Busy: EXIT_UNAVAILABLE,
    UnexpectedAnswer: EXIT_UNAVAILABLE,
}
"""What each way not to be approved exits with; what is wrong with the call itself exits with 2."""

_MOST_BYTES = 1_000_000


def ask_command(
    template: Annotated[str, typer.Argument(help="The name of the process that decides.")],
    given: Annotated[
        str, typer.Option("--input", help="The input of the process as JSON, or @FILE.", metavar="JSON")
    ] = "{}",
    title: Annotated[str | None, typer.Option(help="What approvers read first.")] = None,
    action: Annotated[
        str | None,
        typer.Option(
            help="Exactly what shall be done, as JSON {type, target, parameters, expires_at} or @FILE.", metavar="JSON"
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome.")] = False,
    claim: Annotated[
        bool, typer.Option("--claim", help="Wait, and claim the approved action, which works once.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(help="For how many seconds to wait; without it, as long as it takes.", min=0)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Names this request: the same command with the same key waits for the same one again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask for an approval, for example in a pipeline, and wait for it. The exit code tells the outcomes apart.

    PLACET_URL is where Placet is, and PLACET_TOKEN (or the file PLACET_TOKEN_FILE) a token of whoever asks.

    0 approved (without --wait: asked), 10 rejected, 11 expired, 12 withdrawn, 13 cancelled, 14 failed, 15 another
    outcome of the process, 16 returned for changes, 20 still pending after --timeout, 21 the claim was refused, 2 the
    call is wrong or not permitted, 3 Placet is away.
    """
    values = _json(given, "--input")
    exact = None if action is None else _action(action)
    if claim and exact is None:
        _fail("--claim needs --action: there is nothing to claim otherwise.", EXIT_USAGE)
    try:
        with Client() as placet:
            asked = placet.start(template, values, title=title, action=exact, key=key)
            progress(f"Request {asked.id} ({asked.title}) asks for approval: {placet.place.url}/requests/{asked.id}")
            if not wait and not claim:
                _tell(asked, as_json=as_json)
                return
            ended = placet.wait(asked.id, timeout=timeout)
            _tell(ended, as_json=as_json)
            require_approved(ended)
            if claim and exact is not None:
                placet.claim(asked.id, exact)
    except NotGranted as error:
        if isinstance(error, StillPending):
            _tell(error.request, as_json=as_json)
        _fail(error.message, _exit_code(error))
    except Problem as error:
        for fault in error.problems:
            err.print(f"  {fault.pointer or '/'}: {fault.message}", markup=False, soft_wrap=True)
        _fail(error.message, _exit_code(error))
    except (ClientError, TypeError, ValueError) as error:
        _fail(str(error), _exit_code(error))


def _exit_code(error: Exception) -> int:
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), EXIT_USAGE)


def _tell(request: Request, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(request))
    else:
        out.print(f"{request.id} {request.outcome or request.status}", markup=False, soft_wrap=True)


def _fail(message: str, code: int) -> NoReturn:
    err.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _action(text: str) -> Action:
    raw = _json(text, "--action")
    unknown = sorted(raw.keys() - {"type", "target", "parameters", "expires_at"})
    if unknown:
        _fail(f"--action: {unknown[0]!r} is unknown; an action has type, target, parameters, expires_at.", EXIT_USAGE)
    try:
        return decode(Action, raw)
    except Undecodable as error:
        _fail(f"--action: {error}", EXIT_USAGE)


def _json(text: str, option: str) -> dict[str, Any]:
    """Return the object that an option gives; one that says a name twice is refused, as readers would differ."""
    if text.startswith("@"):
        try:
            with Path(text[1:]).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            text = content.decode()
        except (OSError, UnicodeDecodeError) as error:
            _fail(f"{option}: {text[1:]} cannot be read ({error}).", EXIT_USAGE)
    if len(text) > _MOST_BYTES:
        _fail(f"{option}: more than {_MOST_BYTES} bytes.", EXIT_USAGE)
    try:
        value = json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _fail(f"{option} is no JSON: {error}.", EXIT_USAGE)
    if not isinstance(value, dict):
        _fail(f'{option}: an object is expected, such as \'{{"amount": "820.00"}}\'.', EXIT_USAGE)
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")
