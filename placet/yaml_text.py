"""Read YAML text: bounded, with the line and column of each value, and only what JSON has.

Plain words are text, so that `on`, `yes` and `12:30` stay what they are; `true`, `false`, `null` and numbers are what
JSON has, fractions as Decimal. A value may be named (`&name`) and used again (`*name`). Tags, merge keys that expand
and several documents in one file are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import yaml

from placet.errors import InputInvalid
from placet.json_text import MAX_DEPTH
from placet.json_values import LONGEST_NAME, UNSTORABLE, storable

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000  # those of a value that is used again count each time
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Mapping[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?")

Path = tuple[str | int, ...]
"""The way to a value: names of fields and indexes of lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in a text: line and column, from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlText:
    """A text that was read: its value, and the place of each value inside it."""

    value: Any
    places: Mapping[Path, Place]

    def place(self, path: Path) -> Place:
        """Return where a value stands, or else what holds it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(line=1, column=1))


class NotYaml(InputInvalid):
    """The text is no YAML that can be read here; carries the place."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True, kw_only=True)
class _Open:
    """A list or an object that is being read; `key` is the name whose value comes next."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    place: Place
    key: str | None = None
    size: int = 1
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchored:
    value: Any
    size: int
    height: int


def read_yaml(body: bytes) -> YamlText:
    """Read one YAML document; raises NotYaml with its place, where it cannot be read or is too large."""
    if len(body) > MAX_BYTES:
        _refuse(f"the file is larger than {MAX_BYTES // 1024} KiB; split it", Place(line=1, column=1))
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(f"the file is not UTF-8 (byte {error.start})", Place(line=1, column=1))
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        told = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
        _refuse(f"this is no YAML: {told}", _place(mark) if mark is not None else Place(line=1, column=1))
    return YamlText(value=reader.value, places=reader.places)


@dataclass(slots=True)
class _Reader:
    """Builds the value from the parser's events, without recursion."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    _open: list[_Open] = field(default_factory=list)
    _anchored: dict[str, _Anchored] = field(default_factory=dict)
    _documents: int = 0
    _values: int = 0

    def take(self, event: Any) -> None:
        place = _place(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                _refuse("a second document begins here; write it into a file of its own", place)
        elif isinstance(event, yaml.AliasEvent):
            self._again(str(event.anchor), place)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event, place)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()

    def _scalar(self, event: Any, place: Place) -> None:
        if event.tag is not None and not event.implicit[1]:
            _refuse(f"the tag {event.tag[:100]} is not read here; remove it", place)
        if not storable(event.value):
            _refuse(UNSTORABLE, place)
        holder = self._open[-1] if self._open else None
        if holder is not None and isinstance(holder.value, dict) and holder.key is None:
            self._name(holder, event.value, place)
            return
        value = _plain(event.value) if event.implicit[0] else event.value
        self._put(value, place)
        if event.anchor is not None:
            self._anchored[event.anchor] = _Anchored(value=value, size=1, height=0)

    def _name(self, holder: _Open, name: str, place: Place) -> None:
        if name == "<<":
            _refuse("merge keys are not read here; write the fields out", place)
        if len(name) > LONGEST_NAME:
            _refuse(f"a name is longer than {LONGEST_NAME} characters; shorten it", place)
        if name in holder.value:
            _refuse(f"{name[:100]!r} is given twice; remove one of the two", place)
        holder.key = name

    def _begin(self, event: Any, place: Place) -> None:
        if event.tag is not None and not event.implicit:
            _refuse(f"the tag {event.tag[:100]} is not read here; remove it", place)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            _refuse("a name has to be text", place)
        if len(self._open) >= MAX_DEPTH:
            _refuse(f"this is nested deeper than {MAX_DEPTH} levels", place)
        path = self._path()
        self._put(value, place)
        self._open.append(_Open(value=value, path=path, anchor=event.anchor, place=place))

    def _end(self) -> None:
        done = self._open.pop()
        if self._open:
            self._open[-1].size += done.size - 1  # it counted as one when it was put there
            self._open[-1].height = max(self._open[-1].height, done.height + 1)
        if done.anchor is not None:
            self._anchored[done.anchor] = _Anchored(value=done.value, size=done.size, height=done.height)

    def _again(self, anchor: str, place: Place) -> None:
        """Put a named value here as well. One that is not complete yet would contain itself."""
        found = self._anchored.get(anchor)
        if found is None:
            _refuse(f"nothing before is named &{anchor[:100]}", place)
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            _refuse("a name has to be text", place)
        if len(self._open) + found.height > MAX_DEPTH:
            _refuse(f"this is nested deeper than {MAX_DEPTH} levels", place)
        self._put(found.value, place, found.size)
        if self._open:
            self._open[-1].size += found.size - 1
            self._open[-1].height = max(self._open[-1].height, found.height + 1)

    def _path(self) -> Path:
        if not self._open:
            return ()
        holder = self._open[-1]
        return (*holder.path, (holder.key or "") if isinstance(holder.value, dict) else len(holder.value))

    def _put(self, value: Any, place: Place, size: int = 1) -> None:
        self._values += size
        if self._values > MAX_VALUES:
            _refuse(f"the file has more than {MAX_VALUES:,} values; split it", place)
        self.places[self._path()] = place
        if not self._open:
            self.value = value
            return
        holder = self._open[-1]
        holder.size += 1
        if isinstance(holder.value, dict):
            holder.value[holder.key or ""] = value
            holder.key = None
        else:
            holder.value.append(value)


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return Decimal(text)
    return text


def _place(mark: Any) -> Place:
    return Place(line=mark.line + 1, column=mark.column + 1)


def _refuse(message: str, place: Place) -> NoReturn:
    raise NotYaml(message, place)
