"""The transparency log: its newest checkpoint, who else has signed it, and how to verify it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from service.transparency.state import AttesterState, LogState, log_state
from storage.queries.log_attestations import COSIGNATURE
from web.languages import Wording
from web.routes.common import Here, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.words import marked
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)

_FAILED: Final = (marked("Has not signed"), "bad")
_SIGNED: Final = (marked("Has signed the newest"), "good")
_WAITS: Final = (marked("Signed an older one"), "open")
_NEVER: Final = (marked("Not asked yet"), "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterLine:
    """A witness or an authority as the page shows it."""

    one: AttesterState
    role: str
    word: str
    tone: str


@router.get("/log")
async def transparency_log(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show how the log stands."""
    wording = visitor.wording

    def read(connection: Connection) -> tuple[LogState, str | None]:
        return log_state(connection, here.context.now()), read_inbox_count(connection, visitor.principal, wording)

    state, badge = await here.context.database.read(read)
    return shown(
        request,
        "log.html",
        section="log",
        badge=badge,
        log=state,
        attesters=[_line(one, wording) for one in state.attesters],
        witnesses=" ".join(
            f"--witness '{one.signed.verifier}'"
            for one in state.attesters
            if one.signed is not None and one.state.kind == COSIGNATURE and one.current
        ),
    )


def _line(one: AttesterState, wording: Wording) -> AttesterLine:
    if one.state.failure is not None:
        word, tone = _FAILED
    elif one.signed is None:
        word, tone = _NEVER
    else:
        word, tone = _SIGNED if one.current else _WAITS
    role = wording.say("Witness") if one.state.kind == COSIGNATURE else wording.say("Timestamp authority")
    return AttesterLine(one=one, role=role, word=wording.say(word), tone=tone)
