"""Read CSV in a stream: UTF-8, a header, and one event a line; the delimiter is found in the header."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from insight.event_logs.bounds import MOST_COLUMNS
from insight.event_logs.file import LogFile
from insight.event_logs.refusal import in_file
from placet.sentences import sentence

_DELIMITERS = ",;\t|"


class CsvReader:
    """A reader of one file; `columns` are known once the first row is asked for."""

    def __init__(self) -> None:
        self.columns: dict[str, None] = {}

    def rows(self, file: LogFile) -> Iterator[tuple[int, list[str]]]:
        """Yield (number of the line, fields) for each line that is not empty; raises InputInvalid."""
        lines = _decoded(file)
        header = next(lines, "")
        delimiter = max(_DELIMITERS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        self._name(names)
        rows = csv.reader(lines, delimiter=delimiter)
        before = 1
        try:
            for fields in rows:
                line, before = before + 1, rows.line_num + 1
                if not fields:
                    continue
                if len(fields) > len(names):
                    raise in_file(
                        sentence(
                            "line {line} has {found} fields, and the header names {named}; quote fields that hold "
                            "{delimiter!r}",
                            line=line,
                            found=len(fields),
                            named=len(names),
                            delimiter=delimiter,
                        )
                    )
                yield line, fields
        except csv.Error as error:
            raise in_file(
                sentence("line {line}: this is no CSV: {why}", line=rows.line_num + 1, why=str(error))
            ) from error

    def _name(self, names: list[str]) -> None:
        if len(names) < 3:
            raise in_file(
                "line 1: a log needs at least three columns (case, activity, time), with their names in the first line"
            )
        if len(names) > MOST_COLUMNS:
            raise in_file(sentence("line 1 names more than {most} columns", most=MOST_COLUMNS))
        for number, name in enumerate(names, 1):
            if name in self.columns:
                raise in_file(sentence("line 1 names the column {name!r} twice; rename one", name=name[:100]))
            self.columns[name or f"column {number}"] = None


def _decoded(file: LogFile) -> Iterator[str]:
    for number, line in enumerate(file.lines(), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise in_file(
                sentence(
                    "line {number} is not UTF-8 (byte {at}); save the file as UTF-8", number=number, at=error.start + 1
                )
            ) from error
        if "\0" in text:
            raise in_file(sentence("line {number} holds the character U+0000; remove it", number=number))
        yield text
