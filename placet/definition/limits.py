"""Limits of the document that a blueprint is read from, checked before any recursive code reads it."""

from __future__ import annotations

import math

from placet.errors import Problem
from placet.json_pointer import value_at
from placet.json_values import LONGEST_NAME, Place, pointer_at, walk
from placet.sentences import sentence

MAX_DEPTH = 64  # of lists and objects inside each other, forms included
MAX_VALUES = 100_000  # values in the whole document
MAX_TEXT = 2_000_000  # characters in the whole document, names included
MAX_CONDITIONS = 200_000  # characters of all conditions together
MAX_WHOLE = 2**53 - 1  # canonical JSON (RFC 8785) knows no larger whole number

_SHOWN_PARTS = 8  # of the place of something that is refused unread


def excess(raw: object) -> Problem | None:
    """Return the first bound that a document exceeds, None where it keeps within all of them."""
    text = 0
    for values, (value, place, depth) in enumerate(walk(raw), 1):
        if values > MAX_VALUES:
            return Problem(
                pointer="",
                message=sentence(
                    "the document holds more than {max_values} values; split the process", max_values=MAX_VALUES
                ),
            )
        if depth > MAX_DEPTH:
            message = sentence("the document is nested deeper than {max_depth} levels; flatten it", max_depth=MAX_DEPTH)
            return Problem(pointer=_shown(place), message=message)
        text += len(value) if isinstance(value, str) else 0
        if place is not None and isinstance(place[1], str):
            text += len(place[1])
        if text > MAX_TEXT:
            message = sentence(
                "the document holds more than {max_text} characters; split the process", max_text=MAX_TEXT
            )
            return Problem(pointer="", message=message)
        if place is not None and isinstance(place[1], str) and len(place[1]) > LONGEST_NAME:
            message = sentence("a name is longer than {longest_name} characters; shorten it", longest_name=LONGEST_NAME)
            return Problem(pointer=_shown(place[0]), message=message)
    return _conditions(raw)


def unfit(raw: object) -> Problem | None:
    """Return the problem of the first value that JSON cannot represent exactly; None without any."""
    for value, place, _ in walk(raw):
        key = place[1] if place is not None else None
        fault = _text_fault(key) if isinstance(key, str) else None
        if key is not None and not isinstance(key, str | int):
            fault = "names have to be strings"
        fault = fault or _fault(value)
        if fault is not None:
            return Problem(pointer=_shown(place), message=fault)
    return None


def _shown(place: Place) -> str:
    return "/".join(pointer_at(place).split("/")[:_SHOWN_PARTS])[:1_000]


def _fault(value: object) -> str | None:
    if isinstance(value, str):
        return _text_fault(value)
    return None if isinstance(value, dict | list | tuple) else _number_fault(value)


def _text_fault(text: str) -> str | None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "half of a surrogate pair is no text; remove it"
    return None


def _number_fault(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        too_large = value.bit_length() > 53 or abs(value) > MAX_WHOLE
        return "whole numbers beyond 2^53 are not exact in JSON; write a smaller one" if too_large else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "NaN and Infinity are no JSON numbers; write a plain number"
    return f"a value of Python's type {type(value).__name__} is no JSON value"


def _conditions(raw: object) -> Problem | None:
    for part in ("edges", "nodes"):
        if _expressed(value_at(raw, f"/graph_spec/{part}")) > MAX_CONDITIONS:
            message = sentence(
                "the conditions have more than {max_conditions} characters together; split the process",
                max_conditions=MAX_CONDITIONS,
            )
            return Problem(pointer=f"/graph_spec/{part}", message=message)
    return None


def _expressed(part: object) -> int:
    """Count the characters of all expressions: a table's inputs count once for each rule, as they are put there."""
    total = 0
    pending: list[tuple[object, bool]] = [(part, False)]
    while pending:
        value, counts = pending.pop()
        if isinstance(value, str):
            total += len(value) if counts else 0
        elif isinstance(value, dict):
            rules, inputs = value.get("rules"), value.get("inputs")
            if isinstance(rules, list) and isinstance(inputs, list):
                total += len(rules) * sum(len(text) for text in inputs if isinstance(text, str))
            pending += [(inner, key in {"condition", "expr", "until", "when"}) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            pending += [(inner, counts) for inner in value]
    return total
