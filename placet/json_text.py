"""Read JSON text: bounded, exactly (no number goes through a float), and only what can be stored as text."""

from __future__ import annotations

import json
import math
from collections import Counter
from decimal import Decimal
from typing import Any, NoReturn

from placet.errors import InputInvalid, Problem
from placet.json_values import LONGEST_NAME, Place, pointer_at, storable, walk
from placet.sentences import Sentence, sentence

MAX_DEPTH = 64
MAX_VALUES = 100_000  # a blueprint of the allowed size has some ten thousand
_MAX_DIGITS = 400


def read_json(body: bytes) -> Any:
    """Parse JSON with fractions as Decimal; raises InputInvalid where it is not JSON or holds what cannot be stored."""
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            parse_float=_fraction,
            parse_int=_whole,
            parse_constant=_refuse_constant,
            object_pairs_hook=_members,
        )
    except UnicodeDecodeError as error:
        _refuse("", sentence("the body is not UTF-8 (byte {start}); encode it as UTF-8", start=error.start))
    except json.JSONDecodeError as error:
        _refuse(
            "",
            sentence(
                "the body is not JSON: {msg} (line {lineno}, column {colno})",
                msg=error.msg,
                lineno=error.lineno,
                colno=error.colno,
            ),
        )
    except RecursionError:
        _refuse("", sentence("the body is nested deeper than {max_depth} levels", max_depth=MAX_DEPTH))
    _check(value)
    return value


class _Repeating(dict[str, Any]):
    """An object in which a name occurs twice; its place is known once the whole document is read."""

    repeated: str


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating = _Repeating(found)
    counts = Counter(name for name, _ in pairs)
    repeating.repeated = next(name for name, count in counts.items() if count > 1)
    return repeating


def with_floats(value: Any) -> Any:
    """Return the JSON value with floats for Decimals, for documents without amounts of money (blueprints, forms)."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: with_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_floats(inner) for inner in value]
    return value


def _fraction(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS or not math.isfinite(float(text)):
        _refuse("", sentence("the number {text} is too large; send it as text if it is meant", text=text[:40]))
    return Decimal(text)


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        _refuse("", sentence("the number {text}… is too large; send it as text if it is meant", text=text[:40]))
    return int(text)


def _refuse_constant(text: str) -> NoReturn:
    _refuse("", sentence("{text} is not JSON; send a number or null", text=text))


def _check(value: Any) -> None:
    """Refuse values that are too deep, too many, or hold text that no database can store."""
    for seen, (current, place, depth) in enumerate(walk(value), 1):
        if seen > MAX_VALUES:
            _refuse("", sentence("the body holds more than {max_values} values; send less", max_values=MAX_VALUES))
        if depth > MAX_DEPTH:
            _refuse("", sentence("the body is nested deeper than {max_depth} levels", max_depth=MAX_DEPTH))
        if isinstance(current, str):
            _check_text(current, place)
        elif isinstance(current, dict):
            if isinstance(current, _Repeating):
                message = sentence(
                    "{repeated!r} is given twice; remove one of the two", repeated=current.repeated[:100]
                )
                _refuse(pointer_at((place, current.repeated)), message)
            for key in current:
                _check_text(key, place)
                if len(key) > LONGEST_NAME:
                    _refuse(
                        pointer_at(place),
                        sentence(
                            "a name is longer than {longest_name} characters; shorten it", longest_name=LONGEST_NAME
                        ),
                    )


def _check_text(text: str, place: Place) -> None:
    if not storable(text):
        _refuse(pointer_at(place), "U+0000 and halves of surrogate pairs are no text; remove them")


def _refuse(pointer: str, message: str) -> NoReturn:
    whole = Sentence("{message}.", {"message": message}, f"{message[0].upper()}{message[1:]}.")
    raise InputInvalid(whole, problems=(Problem(pointer=pointer, message=message),))
