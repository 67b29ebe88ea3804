"""Evidence packs: an auditor orders one by a form, sees what became of those that were ordered, and downloads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from uuid import uuid5

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy import Connection

from api.http.downloads import zip_file
from placet.errors import Busy, InputInvalid, PlacetError
from service.evidence.building import LONGEST_SEED, MOST_SAMPLED, Order
from service.evidence.packs import NAMESPACE, download, order_pack
from storage.queries.definitions import definitions
from storage.queries.evidence import packs
from storage.tables.evidence import EvidencePack
from web.forms.fields import Field
from web.forms.reading import Entries, whole
from web.languages import Wording
from web.paging import PAGE
from web.routes.common import Here, WebContext, entries_of, fresh_key, judged, record, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.people import Names, names_of
from web.views.words import marked
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/evidence", route_class=PageRoute)

_STATUSES: Final = {
    "running": (marked("Being made"), "open"),
    "ready": (marked("Ready"), "good"),
    "failed": (marked("Failed"), "bad"),
    "expired": (marked("Expired"), "warn"),
    "saved": (marked("Saved on the command line"), "open"),
}
_USUAL_SAMPLE = 25
_MOST_LISTED = 100  # processes that are listed to choose from; of more, the name is typed


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLine:
    """A pack as the list shows it."""

    row: EvidencePack
    first: str
    last: str
    by: str
    word: str
    tone: str
    counts: tuple[str, ...]
    size: str


@router.get("")
async def evidence(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """Show the form, and every pack that was ordered, newest first."""
    return await _page(request, here, visitor, cursor=cursor)


@router.post("")
async def order(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Order a pack; a form that is sent twice orders one."""
    entries = await entries_of(request, visitor)
    given = f"{visitor.principal.person}:{entries.text('key') or fresh_key()}"
    try:
        asked = _order(entries, visitor.wording)
        pack_id = uuid5(NAMESPACE, given).hex
        await order_pack(here.context, here.context.evidence, visitor.principal, asked, pack_id=pack_id)
    except (InputInvalid, Busy) as error:
        await record(here, visitor, "evidence", error)
        return await _page(request, here, visitor, error=error, entries=entries)
    return see_other("/evidence", "evidence")


@router.get("/{pack_id}/file")
async def file(here: Here, visitor: SignedIn, pack_id: Annotated[str, Path(max_length=200)]) -> StreamingResponse:
    """Download a pack."""
    found = await download(here.context, visitor.principal, pack_id)
    return zip_file(found)


def _order(entries: Entries, wording: Wording) -> Order:
    """Return what was asked for; the days are the reader's. Raises InputInvalid with the field that is wrong."""
    say = wording.say
    days: dict[str, date] = {}
    for name in ("from", "until"):
        try:
            days[name] = date.fromisoformat(entries.text(name))
            days[name] + timedelta(days=1)  # the last day that there is has none after it
        except (ValueError, OverflowError) as error:
            raise InputInvalid.at(f"/{name}", say("Enter a day.")) from error
    if days["until"] < days["from"]:
        raise InputInvalid.at("/until", say("The last day is before the first."))
    sample = whole(entries.text("sample"))
    if sample is None or sample > MOST_SAMPLED:
        raise InputInvalid.at("/sample", say("Enter a number from 0 to {most}.").format(most=MOST_SAMPLED))
    if not entries.text("process"):
        raise InputInvalid.at("/process", say("Choose a process."))
    seed = entries.text("seed")
    if not 1 <= len(seed) <= LONGEST_SEED or not seed.isprintable():
        raise InputInvalid.at("/seed", say("Enter a text of 1 to {most} characters.").format(most=LONGEST_SEED))
    return Order(
        process=entries.text("process"),
        since=datetime.combine(days["from"], time(), wording.zone),
        until=datetime.combine(days["until"] + timedelta(days=1), time(), wording.zone),
        sample=sample,
        seed=seed,
        files=bool(entries.text("files")),
    )


def _fields(entries: Entries | None, processes: list[str], wording: Wording) -> tuple[Field, ...]:
    say = wording.say
    last = wording.now.astimezone(wording.zone).date().replace(day=1) - timedelta(days=1)
    listed = len(processes) <= _MOST_LISTED
    usual = {"from": last.replace(day=1).isoformat(), "until": last.isoformat(), "sample": str(_USUAL_SAMPLE)}

    def given(name: str) -> str:
        return entries.text(name) if entries is not None else usual.get(name, "")

    return (
        Field(
            name="process",
            pointer="/process",
            label=say("Process"),
            widget="choice" if listed else "text",
            options=tuple((name, name) for name in processes) if listed else (),
            value=given("process"),
            help=None if listed else say("Its whole name."),
            required=True,
        ),
        Field(name="from", pointer="/from", label=say("First day"), widget="day", value=given("from"), required=True),
        Field(name="until", pointer="/until", label=say("Last day"), widget="day", value=given("until"), required=True),
        Field(
            name="sample",
            pointer="/sample",
            label=say("Requests in the sample"),
            widget="number",
            value=given("sample"),
            required=True,
        ),
        Field(
            name="seed",
            pointer="/seed",
            label=say("Seed"),
            widget="text",
            value=given("seed"),
            longest=LONGEST_SEED,
            required=True,
            help=say(
                "Any text that you choose. The same seed draws the same sample again, so that others can check it."
            ),
        ),
    )


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    cursor: str | None = None,
    error: PlacetError | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    wording = visitor.wording

    def read(connection: Connection) -> tuple[list[str], list[PackLine], str | None, str | None]:
        page = packs.page(connection, limit=PAGE, cursor=cursor)
        names = names_of(connection, [row.ordered_by for row in page.items])
        return (
            definitions.released_names(connection, most=_MOST_LISTED + 1),
            [_line(row, names, wording) for row in page.items],
            page.next_cursor,
            read_inbox_count(connection, visitor.principal, wording),
        )

    processes, rows, next_cursor, badge = await here.context.database.read(read)
    return shown(
        request,
        "evidence.html",
        section="evidence",
        status=200 if error is None else 422,
        badge=badge,
        rows=rows,
        next_cursor=next_cursor,
        files=bool(entries is not None and entries.text("files")),
        key=fresh_key(),
        **judged(_fields(entries, processes, wording), error),
    )


def _line(row: EvidencePack, names: Names, wording: Wording) -> PackLine:
    word, tone = _STATUSES[row.status]
    last = (row.until - timedelta(microseconds=1)).astimezone(wording.zone).date()
    counts: tuple[str, ...] = ()
    if row.population is not None and row.sampled is not None and row.exceptions is not None:
        texts = (
            (wording.say_number("{number} request", "{number} requests", row.population), row.population),
            (wording.say_number("{number} sampled", "{number} sampled", row.sampled), row.sampled),
            (wording.say_number("{number} exception", "{number} exceptions", row.exceptions), row.exceptions),
        )
        counts = tuple(text.format(number=wording.number(number)) for text, number in texts)
    return PackLine(
        row=row,
        first=wording.day(row.since.astimezone(wording.zone).date()),
        last=wording.day(last),
        by=row.ordered_by if row.status == "saved" else names(row.ordered_by),
        word=wording.say(word),
        tone=tone,
        counts=counts,
        size="" if row.size is None else f"{wording.number(max(1, round(row.size / 1000)))} kB",
    )
