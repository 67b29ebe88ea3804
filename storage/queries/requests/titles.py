"""Titles of requests as people search them: any part of it, in any case, the same on both databases.

docs/decisions/0034-search.md says why titles are folded here and not by the databases.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Executable, SQLColumnExpression, exists, func, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.requests.visibility import FEW
from storage.tables.reading import RequestTitle

_SIZE = 3  # letters of the longest parts in the index
_MOST_PARTS = 12  # of what is searched that are looked up; all of it is compared afterwards
_MOST_BEGINNINGS = 200  # trigrams that begin with one or two letters; where there are more, titles with them are many

# PostgreSQL counts all rows with a part before it returns one: what many of the newest titles have is not few.
_NEWEST, _MANY = 2_000, 100
_AMONG_NEWEST = text(
    "SELECT count(*) FROM (SELECT folded FROM request_title ORDER BY number DESC LIMIT :newest) AS newest "
    "WHERE strpos(folded, :part) > 0"
)

_LAST = "\U0010ffff"  # of all letters
_TERMS = text("SELECT term FROM request_title_terms WHERE term >= :low AND term <= :high LIMIT :most")
_FOUND = {
    "sqlite": text(
        "SELECT request_title.request_id FROM request_title_parts "
        "JOIN request_title ON request_title.number = request_title_parts.rowid "
        "WHERE request_title_parts MATCH :parts AND instr(request_title.folded, :part) > 0 LIMIT :most"
    ),
    "postgresql": text(
        "SELECT request_id FROM request_title "
        "WHERE placet_parts(folded) @> CAST(:parts AS text[]) AND strpos(folded, :part) > 0 LIMIT :most"
    ),
}


def fold(title: str) -> str:
    """Return a text as it is compared: without its case, and with each letter in one form."""
    return unicodedata.normalize("NFC", title.casefold())


def put(connection: Connection, titles: Sequence[Mapping[str, str]]) -> None:
    """Store the titles of requests, each with its `id` and `title`, in place of those that were there."""
    _PUT.run_all(connection, [{"request_id": one["id"], "folded": fold(one["title"])} for one in titles])


def with_part(
    connection: Connection, part: str, request_id: SQLColumnExpression[str]
) -> tuple[ColumnElement[bool], bool]:
    """Build the rule for rows of requests whose title has this part; returns also whether they are few.

    A list is read in its order until a page is full. What few of very many titles have is found by its index first.
    """
    folded = fold(part)
    ids = _few_with(connection, folded)
    if ids is not None:
        return request_id.in_(ids), True
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    title = exists().where(col(RequestTitle.request_id) == request_id, place(col(RequestTitle.folded), folded) > 0)
    return title, False


def _few_with(connection: Connection, part: str) -> list[str] | None:
    """Return the requests whose title has this part, or None where they are more than few."""
    if not part:
        return None
    dialect = connection.dialect.name
    parts: str | list[str] | None
    if dialect == "postgresql":
        if connection.scalar(_AMONG_NEWEST, {"newest": _NEWEST, "part": part}) >= _MANY:
            return None
        parts = _parts(part) if len(part) >= _SIZE else [part]
    else:
        parts = _query(_parts(part), "AND") if len(part) >= _SIZE else _beginning(connection, part)
    if parts is None:
        return None
    if not parts:
        return []
    given = {"parts": parts, "part": part, "most": FEW + 1}
    ids = list(connection.scalars(_FOUND[dialect], given))
    return ids if len(ids) <= FEW else None


def _parts(part: str) -> list[str]:
    """Return parts of the index's size, spread over a long text."""
    places = range(len(part) - _SIZE + 1)
    step = -(-len(places) // _MOST_PARTS)
    return list(dict.fromkeys(part[place : place + _SIZE] for place in places[::step]))


def _beginning(connection: Connection, part: str) -> str | None:
    """Return the query for one or two letters: the trigrams that begin with them; None where those are many."""
    high = part + _LAST * (_SIZE - len(part))
    terms = list(connection.scalars(_TERMS, {"low": part, "high": high, "most": _MOST_BEGINNINGS + 1}))
    return None if len(terms) > _MOST_BEGINNINGS else _query(terms, "OR")


def _query(terms: Sequence[str], word: str) -> str:
    """Write a query of SQLite's index."""
    return f" {word} ".join('"' + term.replace('"', '""') + '"' for term in terms)


def _putting(dialect: str) -> Executable:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(RequestTitle)
    new = statement.excluded.folded
    return statement.on_conflict_do_update(
        index_elements=["request_id"], set_={"folded": new}, where=col(RequestTitle.folded) != new
    )


_PUT = Prepared(_putting)
