"""New requests: choose a process, fill in its form with its files, and send it in.

The files are uploaded before the form is sent, or with it where the browser runs no scripts. They belong to the form,
by its key: it may be refused, reloaded or sent again, and they are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection
from starlette.datastructures import UploadFile

from api.http.problems import problem_of
from api.http.uploads import FIELD, upload_in
from placet.errors import Conflict, InputInvalid, NotFound, PlacetError, Refused, TooLarge, TypeNotAllowed
from service.attachments import draft_files
from service.attachments.draft_files import RequestForm
from service.canaries.picking import picked_for_form
from service.requests import RequestDraft, start_request
from service.visibility import seen_request
from storage.queries.definitions import definitions
from storage.queries.requests import draft_files as draft_file_rows
from storage.queries.requests import requests
from storage.queries.requests.draft_files import Unsent
from web.forms import shapes
from web.forms.reading import Entries
from web.refusals import told
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, judged, see_other, shown
from web.security import FilesPageRoute, PageRoute
from web.views.inbox import read_inbox_count
from web.views.processes import ProcessList, read_processes
from web.views.requests.files import chosen_files, limits_of
from web.views.versions import Version
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/requests/new", route_class=PageRoute)
uploads = APIRouter(prefix="/requests/new", route_class=FilesPageRoute)

TemplateId = Annotated[str, Path(max_length=200)]
_TITLE = 200
_LONGEST_KEY = 100
_MAY_START = frozenset({"requester", "admin"})


@dataclass(frozen=True, kw_only=True)
class _Form(RequestForm):
    """A form, with the version in its address; `picked` says that a canary has chosen the version that it asks for."""

    address: str
    picked: bool


@dataclass(frozen=True, kw_only=True)
class _Filled:
    """A form of a new request as it is shown: what was filled in, and what is wrong with it."""

    form: _Form
    given: dict[str, Any]
    title: str
    kept: bool = True  # whether the browser keeps what is typed
    error: InputInvalid | None = None
    faults: Sequence[dict[str, str | None]] = ()
    entries: Entries | None = None  # as it was sent


@router.get("")
async def processes(request: Request, here: Here, visitor: SignedIn) -> Response:
    """List the processes that a request can be made for; `copy` is a request to copy as a new one."""
    copied = request.query_params.get("copy", "")[:200]
    if copied:

        def find(connection: Connection) -> str:
            stored = seen_request(connection, visitor.principal, copied, visitor.wording.now)
            return definitions.named(connection, stored.request.template).id

        return see_other(f"/requests/new/{await here.context.database.read(find)}?copy={copied}")

    def read(connection: Connection) -> tuple[ProcessList, str | None]:
        found = read_processes(connection, request.query_params)
        return found, read_inbox_count(connection, visitor.principal, visitor.wording)

    found, badge = await here.context.database.read(read)
    return shown(request, "processes.html", section="new", badge=badge, processes=found)


@router.get("/{template_id}")
async def new_request(request: Request, here: Here, visitor: SignedIn, template_id: TemplateId) -> Response:
    """Show the form of a new request, made of the variables of its process; `draft` goes on with one that has files."""
    copied = request.query_params.get("copy", "")[:200]
    key = request.query_params.get("draft", "").replace("\0", "")[:_LONGEST_KEY]
    version, form = await _opened(here, visitor, template_id, key or fresh_key())
    if key and await _sent(here, form):
        return see_other(f"/requests/{form.request_id}")
    given: dict[str, Any] = {}
    title = ""
    if copied:
        stored = await here.context.database.read(seen_request, visitor.principal, copied, visitor.wording.now)
        given, title = stored.request.input, stored.request.title
    filled = _Filled(form=form, given=given, title=title, kept=not given)
    return await _page(request, here, visitor, version, filled, offers=not key)


@uploads.post("/{template_id}")
async def start(request: Request, here: Here, visitor: SignedIn, template_id: TemplateId) -> Response:
    """Start a request from its form, with its files; or add and remove files, and show the form again."""
    visitor.principal.need(_MAY_START)
    entries = await entries_of(request, visitor)
    context, principal = here.context, visitor.principal
    version, form = await _opened(here, visitor, template_id, _key_of(entries))
    if await _sent(here, form):  # a form that is sent twice starts one request
        return see_other(f"/requests/{form.request_id}", "start")
    given = shapes.read_input(version.asked, entries)
    title = entries.text("title")[:_TITLE]
    step, _, which = entries.text("step").partition(":")
    if step == "remove":
        await draft_files.remove(context, principal, form, which)
    added, faults = await _add(request, here, visitor, version, form)
    if faults and await _sent(here, form):  # the same form, sent before, has started it just now
        return see_other(f"/requests/{form.request_id}", "start")
    filled = _Filled(form=form, given=given, title=title, faults=faults, entries=entries)
    if faults or step in {"remove", "attach"}:
        return await _page(request, here, visitor, version, filled)
    files = [one[:_LONGEST_KEY] for one in entries.texts("draft_file")] + added
    try:
        chosen = await draft_files.taken(context, principal, form, version.attachments, files)
    except (NotFound, Conflict, Refused, TooLarge, TypeNotAllowed) as error:
        if await _sent(here, form):
            return see_other(f"/requests/{form.request_id}", "start")
        fault = {"ident": "file", "label": visitor.wording.say("Files"), "message": _said(error, visitor)}
        return await _page(request, here, visitor, version, _with(filled, faults=[fault]))
    assert version.definition is not None  # noqa: S101 - `_startable` has seen to it
    draft = RequestDraft(
        template=version.definition.name,
        version=None if form.picked else version.definition.version,
        title=title or None,
        input=given,
        files=draft_files.opening_files(chosen),
    )
    try:
        stored = await start_request(context, principal, draft, request_id=form.request_id, fresh=False)
    except InputInvalid as error:
        return await _page(request, here, visitor, version, _with(filled, error=error))
    await context.database.write(draft_file_rows.forget, [one.id for one in chosen])
    return see_other(f"/requests/{stored.request.id}", "start")


@uploads.post("/{template_id}/files")
async def change_files(request: Request, here: Here, visitor: SignedIn, template_id: TemplateId) -> Response:
    """Add files to a form or take one out, and return its list of files; or discard all of them."""
    visitor.principal.need(_MAY_START)
    entries = await entries_of(request, visitor)
    context, principal = here.context, visitor.principal
    version, form = await _opened(here, visitor, template_id, _key_of(entries))
    step, _, which = entries.text("step").partition(":")
    if step == "discard":
        await draft_files.remove(context, principal, form)
        return see_other(f"/requests/new/{form.address}")
    if step == "remove":
        await draft_files.remove(context, principal, form, which)
    for sent in await _sent_files(request):
        await draft_files.add(context, principal, form, version.attachments, await upload_in(sent))
    rows = await context.database.read(draft_file_rows.of_form, principal.person, form.request_id)
    limits = limits_of(version, context.attachment_bytes, len(rows), visitor.wording)
    return shown(request, "parts/draft_files.html", chosen=chosen_files(rows, visitor.wording), limits=limits)


async def _opened(here: WebContext, visitor: Visitor, template_id: str, key: str) -> tuple[Version, _Form]:
    """Return a form with the version that it asks for: while a canary runs, the one that it gives to this request."""
    request_id = done_key(visitor, key)[:32]

    def read(connection: Connection) -> tuple[Version, bool]:
        picked = picked_for_form(connection, template_id, request_id)
        return _startable(connection, here, picked or template_id), picked is not None

    version, picked = await here.context.database.read(read)
    assert version.definition is not None  # noqa: S101 - `_startable` has seen to it
    name = version.definition.name
    return version, _Form(key=key, template=name, request_id=request_id, address=template_id, picked=picked)


def _startable(connection: Connection, here: WebContext, template_id: str) -> Version:
    """Return the published version that requests are made for; raises NotFound."""
    row = definitions.get(connection, template_id)
    version = here.versions.of(connection, template_id)
    if row.status != "published" or version.definition is None:
        raise NotFound(f"{row.name} {row.version} cannot be asked for.")
    return version


def _key_of(entries: Entries) -> str:
    return entries.text("key").replace("\0", "")[:_LONGEST_KEY] or fresh_key()


async def _sent(here: WebContext, form: RequestForm) -> bool:
    return await here.context.database.read(requests.requester_of, form.request_id) is not None


async def _sent_files(request: Request) -> list[UploadFile]:
    """Return the files of a form; a field in which none was chosen is sent as one without a name."""
    form = await request.form()  # web.security has bounded it
    return [one for one in form.getlist(FIELD) if isinstance(one, UploadFile) and one.filename]


async def _add(
    request: Request, here: WebContext, visitor: Visitor, version: Version, form: RequestForm
) -> tuple[list[str], list[dict[str, str | None]]]:
    """Keep the files that were sent with a form; return their ids, and what is wrong with the others."""
    added: list[str] = []
    faults: list[dict[str, str | None]] = []
    for sent in await _sent_files(request):
        upload = await upload_in(sent)
        try:
            row = await draft_files.add(here.context, visitor.principal, form, version.attachments, upload)
            added.append(row.id)
        except PlacetError as error:
            faults.append({"ident": "file", "label": upload.name, "message": _said(error, visitor)})
    return added, faults


def _said(error: PlacetError, visitor: Visitor) -> str:
    """Return what is wrong with a file, in the reader's language."""
    say = visitor.wording.say
    if isinstance(error, NotFound):
        return say("A file that stood here is gone. Choose it again, or send the request without it.")
    if isinstance(error, Conflict) and not isinstance(error, Refused):
        return say("A file is not complete yet. Wait until it is, and send the request then.")
    if isinstance(error, Refused):
        return say("No more files can be added. Remove some, here or in forms that you have not sent in.")
    if isinstance(error, InputInvalid) and error.problems:
        return f"{visitor.wording.tell(error.problems[0].message)}."
    title, advice, _ = told(problem_of(error), visitor.wording)
    return " ".join(f"{one.rstrip('.')}." for one in (title, advice) if one)


def _with(filled: _Filled, **changes: Any) -> _Filled:
    return _Filled(**{**vars(filled), **changes})


async def _page(
    request: Request, here: WebContext, visitor: Visitor, version: Version, filled: _Filled, *, offers: bool = False
) -> HTMLResponse:
    """Show the form; `offers` says whether to offer another one that was begun, with its files."""
    definition, form, wording = version.definition, filled.form, visitor.wording
    assert definition is not None  # noqa: S101 - `_startable` has seen to it

    def read(connection: Connection) -> tuple[Any, Unsent | None]:
        rows = draft_file_rows.of_form(connection, visitor.principal.person, form.request_id)
        unsent = draft_file_rows.unsent(connection, visitor.principal.person, form.template) if offers else None
        return rows, unsent

    rows, unsent = await here.context.database.read(read)
    said = judged(shapes.fields_of(version.asked, filled.given, wording), filled.error, filled.entries)
    said["faults"] = [*said["faults"], *filled.faults]
    return shown(
        request,
        "request_form.html",
        section="new",
        badge=await badge_of(here, visitor),
        status=422 if said["faults"] else 200,
        heading=definition.name,
        description=definition.description,
        action=f"/requests/new/{form.address}",
        up="/requests/new",
        up_word=wording.say("New request"),
        title=filled.title,
        comment="",
        asked=None,
        review=None,
        resubmits=False,
        draft=definition.name if filled.kept else None,
        limits=limits_of(version, here.context.attachment_bytes, len(rows), wording),
        chosen=chosen_files(rows, wording),
        unsent=unsent,
        key=form.key,
        **said,
    )
