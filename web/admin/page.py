"""What the pages over the stored tables show: the tables, the rows of one, one row, and the form of one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqladmin import ModelView
from sqladmin.helpers import get_object_identifier
from sqlalchemy import JSON, Text

from web.admin.tables import TABLES, StoredTable
from web.languages import Wording

LONGEST: Final = 20_000
"""Characters of a value on the page of its row."""
_MANY: Final = 12  # lines, beyond which a value is scrolled
IN_A_LIST: Final = 80
"""Characters of a value in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value as it is shown; `kind` is none, text, link, lines (as it is stored), or code: many lines."""

    column: str
    kind: str
    text: str = ""
    href: str | None = None
    cut: bool = False  # whether the value goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a list; `href` is its own page, where it has one."""

    cells: tuple[Cell, ...]
    href: str | None


def rows_address(table: str) -> str:
    """Return the address of a table's rows."""
    return f"/admin/{table}"


def row_address(table: str, key: str) -> str:
    """Return the address of a row's page."""
    return f"/admin/{table}/rows/{quote(key, safe=';')}"


def key_of(text: str, parts: int) -> list[str] | None:
    """Read the parts of a row's key as the library writes them (`a;b`, with a backslash before what stands for itself).

    None where they are not as many. The library reads them as well, and fails at the types of SQLModel.
    """
    if parts == 1:
        return [text]
    found = [""]
    for sign in re.findall(r"\\.|[^\\]", text, re.DOTALL):
        if sign == ";":
            found.append("")
        else:
            found[-1] += sign.removeprefix("\\")
    return found if len(found) == parts else None


async def page_of(library: str, context: dict[str, Any], wording: Wording) -> tuple[str, dict[str, Any]]:
    """Return which of our pages stands for one of the library's, and what it shows."""
    if library == "sqladmin/index.html":
        return "admin/home.html", {"groups": _groups(wording)}
    view: ModelView = context["model_view"]
    stored: StoredTable = view.stored  # type: ignore[attr-defined]  # of web.admin.interface.TableView
    values = {"name": stored.table.name, "title": wording.say(stored.title), "address": rows_address(view.identity)}
    if library == view.list_template:
        return "admin/rows.html", values | await _rows(view, stored, context, wording)
    key = str(get_object_identifier(context["model"]))
    called = str(getattr(context["model"], stored.listed[0]) or key)[:IN_A_LIST]
    values |= {"called": called, "row_address": row_address(view.identity, key)}
    if library == view.edit_template:
        return "admin/edit.html", values | {"form": context["form"]}
    return "admin/row.html", values | await _row(view, stored, context, wording)


def _groups(wording: Wording) -> list[dict[str, Any]]:
    return [
        {
            "title": wording.say(title),
            "tables": [
                {
                    "title": wording.say(one.title),
                    "name": one.table.name,
                    "address": rows_address(one.table.name),
                    "editable": bool(one.editable),
                }
                for one in group
            ],
        }
        for title, group in TABLES.items()
    ]


async def _rows(view: ModelView, stored: StoredTable, context: dict[str, Any], wording: Wording) -> dict[str, Any]:
    asked = context["request"].query_params
    page = context["pagination"]
    lines = []
    for row in page.rows:
        values = {name: (await view.get_list_value(row, name))[0] for name in stored.listed}
        cells = tuple(cell(stored, name, value, wording, longest=IN_A_LIST) for name, value in values.items())
        key = get_object_identifier(row) if stored.has_pages else None
        lines.append(Line(cells=cells, href=None if key is None else row_address(view.identity, str(key))))
    by, value = asked.get("by", ""), asked.get("value", "")
    onward = {"by": by, "value": value} if by else {}
    following = (
        page.next_cursor and f"{rows_address(view.identity)}?{urlencode({**onward, 'cursor': page.next_cursor})}"
    )
    searched = sorted(match for match in view.orders if match)  # type: ignore[attr-defined]  # of TableView
    return {
        "columns": stored.listed,
        "lines": lines,
        "searched": searched,
        "by": by,
        "value": value,
        "next_address": following,
        "beginning": not asked.get("cursor"),
    }


async def _row(view: ModelView, stored: StoredTable, context: dict[str, Any], wording: Wording) -> dict[str, Any]:
    values = {name: (await view.get_detail_value(context["model"], name))[0] for name in stored.shown}
    return {
        "cells": [cell(stored, name, value, wording, longest=LONGEST) for name, value in values.items()],
        "edit_address": f"{rows_address(view.identity)}/edit/{quote(str(get_object_identifier(context['model'])))}"
        if stored.editable
        else None,
    }


def cell(stored: StoredTable, column: str, value: Any, wording: Wording, *, longest: int) -> Cell:
    """Return one value of a row as it is shown."""
    kind = stored.table.c[column].type
    if value is None or value == "":
        return Cell(column=column, kind="none")
    if isinstance(value, bool):
        return Cell(column=column, kind="text", text=wording.say("Yes") if value else wording.say("No"))
    if isinstance(value, datetime):
        return Cell(column=column, kind="text", text=wording.moment(value))
    text = str(value)
    cut = len(text) > longest
    if isinstance(kind, JSON | Text) and longest == LONGEST:
        lines = text[:longest] if cut else _indented(text)
        return Cell(column=column, kind="code" if lines.count("\n") > _MANY or cut else "lines", text=lines, cut=cut)
    href = f"/requests/{quote(text)}" if column == "request_id" and longest == LONGEST else None
    return Cell(column=column, kind="link" if href else "text", text=text[:longest] + ("…" if cut else ""), href=href)


def _indented(text: str) -> str:
    """Return JSON with its parts on lines of their own; other texts as they are."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
