"""Read XES in a stream, by expat: no document type, no entities, bounded depth and elements.

An attribute of a trace is the column `case:KEY`, one of an event is `KEY`. Attributes inside attributes, lists and
containers are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from xml.parsers import expat

from insight.event_logs.bounds import DEEPEST, LONGEST_LINE, MOST_COLUMNS
from insight.event_logs.file import LogFile
from insight.event_logs.refusal import in_file
from placet.sentences import sentence

OF_CASE = "case:"
"""What the columns of traces begin with."""
Values = dict[str, str]
_ATTRIBUTES = frozenset({"string", "date", "int", "float", "boolean", "id"})


class XesReader:
    """A reader of one file: yields (number of the event, attributes of its trace, its own attributes)."""

    def __init__(self) -> None:
        self.columns: dict[str, None] = {}
        """The columns that were declared or seen so far, in that order."""
        self._found: list[tuple[Values, Values]] = []
        self._depth = 0
        self._trace: Values | None = None
        self._trace_depth = 0
        self._event: Values | None = None
        self._event_depth = 0
        self._scope: str | None = None  # of the `global` that is read
        self._root: str | None = None

    def rows(self, file: LogFile) -> Iterator[tuple[int, Values, Values]]:
        """Yield the events in the order of the file; raises InputInvalid for what is no XES, or is too much."""
        parser = expat.ParserCreate(intern={})
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _no_document_type
        parser.EntityDeclHandler = _no_document_type
        number = fed = 0
        while True:
            piece = file.piece()
            fed += len(piece)
            try:
                parser.Parse(piece, not piece)
            except expat.ExpatError as error:
                raise in_file(
                    sentence("line {line}: this is no XML: {why}", line=error.lineno, why=str(error)[:200])
                ) from error
            except (LookupError, ValueError) as error:
                raise in_file(sentence("the encoding of the file is not known: {why}", why=str(error)[:200])) from error
            if fed - parser.CurrentByteIndex > LONGEST_LINE:
                raise in_file(
                    sentence(
                        "line {line}: an element or comment is longer than {longest:,} bytes",
                        line=parser.CurrentLineNumber,
                        longest=LONGEST_LINE,
                    )
                )
            for trace, event in self._found:
                number += 1
                yield number, trace, event
            self._found.clear()
            if not piece:
                return

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if tag in _ATTRIBUTES:
            self._attribute(attributes)
            return
        if self._depth > DEEPEST:
            raise in_file(sentence("elements are nested deeper than {deepest} levels", deepest=DEEPEST))
        name = tag.rpartition(":")[2]
        if self._root is None:
            self._root = name
            if name != "log":
                raise in_file(sentence("this is no XES: its root is {name!r}, not `log`", name=name[:100]))
        if name == "event":
            self._event, self._event_depth = {}, self._depth
        elif name == "trace":
            self._trace, self._trace_depth = {}, self._depth
        elif name == "global":
            self._scope = attributes.get("scope", "event")
        elif name in _ATTRIBUTES:  # with a prefix
            self._attribute(attributes)

    def _attribute(self, attributes: dict[str, str]) -> None:
        key = attributes.get("key")
        if key is None:
            return
        if self._event is not None:
            if self._depth == self._event_depth + 1:
                self._event[key] = attributes.get("value", "")
                if key not in self.columns:
                    self._column(key)
        elif self._trace is not None:
            if self._depth == self._trace_depth + 1:
                self._trace[key] = attributes.get("value", "")
                if OF_CASE + key not in self.columns:
                    self._column(OF_CASE + key)
        elif self._scope is not None:
            self._column(OF_CASE + key if self._scope == "trace" else key)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag in _ATTRIBUTES:
            return
        name = tag.rpartition(":")[2]
        if name == "event" and self._event is not None:
            self._found.append((self._trace or {}, self._event))
            self._event = None
        elif name == "trace":
            self._trace = None
        elif name == "global":
            self._scope = None

    def _column(self, name: str) -> None:
        self.columns[name] = None
        if len(self.columns) > MOST_COLUMNS:
            raise in_file(sentence("events have more than {most} different attributes", most=MOST_COLUMNS))


def picker(columns: list[str | None]) -> Callable[[Values, Values], list[str | None]]:
    """Return the function that picks the values of columns from the attributes of a trace and an event."""
    keys = [
        (True, name.removeprefix(OF_CASE)) if name.startswith(OF_CASE) else (False, name) if name else (False, "")
        for name in (column or "" for column in columns)
    ]

    def pick(trace: Values, event: Values) -> list[str | None]:
        return [(trace if of_case else event).get(key) for of_case, key in keys]

    return pick


def _no_document_type(*_: Any) -> NoReturn:
    raise in_file("the file declares a document type or entities; remove the declaration")
