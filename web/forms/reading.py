"""What a form sent: its entries by name, read as JSON values where they can be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

_NUMBER = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?\Z")
# Digits in groups of three: with the other sign before the fraction, or in more groups than one.
_GROUPED = re.compile(
    r"-?[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]{1,100}|(?:,[0-9]{3})+\.[0-9]{1,100}|(?:\.[0-9]{3}){2,}|(?:,[0-9]{3}){2,})\Z"
)
_THOUSAND = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}\Z")
_MOST_ROWS = 1_000
_WRITTEN = ("text", "comment", "reason", "added_because", "notes")
_DIGITS = 9  # of a whole number that a form counts with


def whole(text: str) -> int | None:
    """Return a whole number of at most nine digits that a form counts with; None for anything else."""
    return int(text) if len(text) <= _DIGITS and text.isascii() and text.isdecimal() else None


def written_in(entry: Callable[[str], object]) -> list[str]:
    """Return what somebody wrote into a form in words of their own, by its entries: nobody else has it."""
    return [text.strip() for name in _WRITTEN if isinstance(text := entry(name), str) and text.strip()]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The entries of a form, each name with all of its values; times are those of the reader's zone.

    `decimal_sign` is what the reader's language has before the fraction of a number.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    zone: ZoneInfo
    decimal_sign: str = "."

    @classmethod
    def of(cls, items: Iterable[tuple[str, Any]], zone: ZoneInfo, decimal_sign: str = ".") -> Entries:
        """Collect the entries of a form that are text."""
        found: dict[str, list[str]] = {}
        for name, value in items:
            if isinstance(value, str):
                found.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return cls(values=found, zone=zone, decimal_sign=decimal_sign)

    def text(self, name: str) -> str:
        """Return an entry without the spaces around it; empty where there is none."""
        return next(iter(self.values.get(name, [])), "").strip()

    def texts(self, name: str) -> list[str]:
        """Return all entries of a name that are not empty."""
        return [one for one in self.values.get(name, []) if one]

    def rows(self, name: str) -> list[int]:
        """Return the numbers of the rows of a list that were sent, in order."""
        start = f"{name}."
        found = {key[len(start) :].split(".")[0] for key in self.values if key.startswith(start)}
        return sorted(number for one in found if (number := whole(one)) is not None and number < _MOST_ROWS)

    def json(self, name: str) -> Any:
        """Return an entry that is JSON; the text itself where it is none, for the rules to refuse; None if empty."""
        text = self.text(name)
        if not text:
            return None
        try:
            return json.loads(text, parse_float=str)
        except (ValueError, RecursionError):
            return text

    def number(self, text: str, *, whole: bool = False) -> Any:
        """Return a number that was entered, as `as_number` has it."""
        return as_number(text, whole=whole, decimal_sign=self.decimal_sign)

    def moment(self, text: str) -> str:
        """Return a local time as a moment in UTC; the text itself where it is none."""
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        at = at.replace(tzinfo=self.zone) if at.tzinfo is None else at
        return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def uncertain(text: str, decimal_sign: str) -> tuple[str, str] | None:
    """Return both numbers that a text may mean, a whole one and one with a fraction; None where it means one thing.

    `1.234` is a thousand to readers in German and a little more than one to programs; `1,234` is a thousand to readers
    in English. As a fraction with the sign of the reader's language each means one thing.
    """
    plain = _without_spaces(text)
    if not _THOUSAND.match(plain) or decimal_sign in plain:
        return None
    digits = plain.replace(".", "").replace(",", "")
    return digits, f"{digits[:-3]}{decimal_sign}{digits[-3:]}"


def as_number(text: str, *, whole: bool = False, decimal_sign: str = ".") -> Any:
    """Return a number as it is sent: an integer, or a decimal as text. A decimal comma is a point.

    What is no number stays the text that was entered. Separators of thousands are left out where they cannot be meant
    otherwise (`1.234,50`, `1,234.50`, `1,234,567`). What may mean two numbers (`uncertain`) is returned with a comma,
    so that the rules refuse it.
    """
    plain = _without_spaces(text)
    if uncertain(plain, decimal_sign) is not None:
        return plain.replace(".", ",")
    if _GROUPED.match(plain):
        group = next(sign for sign in plain if sign in ",.")
        plain = plain.replace(group, "")
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    if not _NUMBER.match(plain):
        return text
    if whole:
        return int(plain) if "." not in plain else text
    return plain


def _without_spaces(text: str) -> str:
    return text.replace("\u00a0", "").replace("\u202f", "").replace(" ", "")


def as_json(value: Any) -> str:
    """Write a value as the JSON that a person edits."""
    return json.dumps(value, ensure_ascii=False, indent=2)
