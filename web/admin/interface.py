"""sqladmin over the stored tables: its views, forms and steps, on our transactions, sessions and pages.

The library decides what is a list, a row and a form, and which of them a table has. What it would bring along itself
is replaced at the places that it has for this (decision 36): it opens no connection, knows no session of its own, and
writes no HTML, so its scripts, styles and fonts are not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import new_class
from typing import Any, ClassVar

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqladmin import Admin, ModelView
from sqladmin.authentication import AuthenticationBackend, login_required
from sqladmin.pagination import Pagination
from sqladmin.templating import Jinja2Templates
from sqlalchemy.orm import Session, sessionmaker
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.context import ApiContext
from placet.errors import NotPermitted
from service.administration.catalog import describe_action
from service.identity.login import Session as BrowserSession
from storage.queries import table_rows
from storage.queries.table_rows import RowOrder
from storage.tables.actions import ActionCatalog
from web.admin.page import key_of, page_of, row_address
from web.admin.tables import TABLES, StoredTable
from web.paging import LINES
from web.routes.common import see_other
from web.templating import render
from web.views.inbox import read_inbox_count
from web.visitor import wording_of

_CELL, _LONGEST = 200, 20_000  # characters of a value in a list, and on the page of its row
_ROW = "admin_row"


@dataclass
class CursorPage(Pagination):
    """One page of a list: the library would count rows to number pages, which takes seconds in a long table."""

    next_cursor: str | None = None


class TableView(ModelView):
    """A table that can be looked at, and not changed."""

    stored: ClassVar[StoredTable]
    orders: ClassVar[Mapping[str | None, RowOrder]]
    can_create = can_edit = can_delete = can_export = can_import = False

    async def list(self, request: Request) -> CursorPage:
        """Read a page of rows: `by` and `value` are what is searched for, `cursor` is where the page begins."""
        asked = request.query_params
        order = self.orders.get(asked.get("by") or None)
        if order is None:
            raise HTTPException(404)
        found = await _context(request).database.read(
            table_rows.page,
            order,
            self.stored.listed,
            limit=LINES,
            longest=_CELL,
            value=asked.get("value"),
            cursor=asked.get("cursor"),
        )
        rows = [self.model(**row) for row in found.items]
        return CursorPage(rows=rows, page=1, page_size=LINES, count=len(rows), next_cursor=found.next_cursor)

    async def get_object_for_details(self, request: Request) -> Any:
        """Read the row that a page is about, once for all steps of the library; None where there is none."""
        if not hasattr(request.state, _ROW):
            setattr(request.state, _ROW, await self._read(request))
        return getattr(request.state, _ROW)

    async def get_object_for_edit(self, request: Request) -> Any:
        """Read the row that a form is about."""
        return await self.get_object_for_details(request)

    async def _read(self, request: Request) -> Any:
        key = key_of(request.path_params["pk"], len(self.pk_columns))
        if key is None:
            return None
        row = await _context(request).database.read(
            table_rows.row, self.stored.table, self.stored.shown, key, longest=_LONGEST
        )
        return None if row is None else self.model(**row)


READ_ONLY = (
    "This table can be looked at, and not changed: it is what has happened, or has pages of its own for changes."
)


class ActionView(TableView):
    """The action catalog: what an action is described as, and whether new requests may run it."""

    can_edit = True

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        """Store what the form says, by the use case for it."""
        return await describe_action(
            _context(request),
            request.state.principal,
            pk,
            description=data["description"] or "",
            enabled=bool(data["enabled"]),
        )


class OurSession(AuthenticationBackend):
    """Our own session, which web.security has looked at: the second of two locks, and no log-in of the library's."""

    def __init__(self) -> None:  # the library's would make a session cookie of its own
        self.middlewares = []

    async def authenticate(self, request: Request) -> bool:
        """Let nobody but admins pass."""
        principal = getattr(request.state, "principal", None)
        if principal is None or not principal.admin:
            raise NotPermitted("These pages are for admins.")
        return True


class OurPages(Jinja2Templates):
    """What the library would render by its templates is rendered by ours, so that it is a page like all others."""

    def __init__(self) -> None:  # the library's would read its own templates
        pass

    async def TemplateResponse(  # type: ignore[override]  # noqa: N802 - the library's name; what comes is only sent
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> HTMLResponse:
        """Render a page."""
        session: BrowserSession = request.state.session
        wording = wording_of(request)
        badge = await _context(request).database.read(read_inbox_count, session.principal, wording)
        template, values = await page_of(name, {"request": request, **(context or {})}, wording)
        return render(request, template, {**values, "badge": badge, "section": "admin"}, status=status_code)


class Tables(Admin):
    """The library's interface, of which our routes call `index`, `list`, `details` and `edit`."""

    def __init__(self) -> None:
        # Neither its application nor its connections are used: whatever tried to fails.
        super().__init__(Starlette(), session_maker=sessionmaker(class_=Session), authentication_backend=OurSession())
        for stored in (one for group in TABLES.values() for one in group):
            self.add_view(_view_of(stored))

    def init_templating_engine(self) -> Jinja2Templates:
        """Return our pages."""
        return OurPages()

    async def details(self, request: Request) -> Response:
        """Show one row, where rows of its table have pages."""
        if not self._find_model_view(request.path_params["identity"]).can_view_details:
            raise HTTPException(404)
        answer: Response = await super().details(request)
        return answer

    @login_required
    async def edit(self, request: Request) -> Response:
        """Show the form of a row, or store what it says. The library's own would show any failure as a text in it."""
        identity, pk = request.path_params["identity"], request.path_params["pk"]
        view = self._find_model_view(identity)
        if not view.can_edit:
            raise NotPermitted(READ_ONLY)
        row = await view.get_object_for_edit(request)
        if row is None:
            raise HTTPException(404)
        make = await view.scaffold_form()
        if request.method == "POST":
            form = make(await request.form())
            if form.validate():
                await view.update_model(request, pk, form.data)
                return see_other(row_address(identity, pk), "admin_changed")
        else:
            form = make(data={name: getattr(row, name) for name in view.get_form_columns()})
        context = {"model_view": view, "model": row, "form": form}
        return await self.templates.TemplateResponse(request, view.edit_template, context)


@cache
def interface() -> Tables:
    """Return the interface; it holds nothing of an installation."""
    return Tables()


def _view_of(stored: StoredTable) -> type[TableView]:
    """Return the library's view of a table."""
    base = ActionView if stored.model is ActionCatalog else TableView
    orders = table_rows.orders(stored.table, newest=stored.newest, few=stored.few, secret=not stored.has_pages)
    facts = {
        "name": stored.title,
        "name_plural": stored.title,
        "stored": stored,
        "orders": {match: order for match, order in orders.items() if match not in stored.hidden},
        "column_list": list(stored.listed),
        "column_details_list": list(stored.shown),
        "form_columns": list(stored.editable),
        "can_view_details": stored.has_pages,
        "column_type_formatters": {},  # ours are in web.admin.cells
        "column_type_formatters_detail": {},
    }
    name = f"{stored.model.__name__}View"
    view: type[TableView] = new_class(name, (base,), {"model": stored.model}, lambda body: body.update(facts))
    view.identity = stored.table.name
    return view


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context
