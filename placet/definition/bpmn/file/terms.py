"""Terms: an expression of a BPMN or DMN file as a tree, whichever engine it was written for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placet.expressions import moments

_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_NEGATED = {"lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "eq": "ne", "ne": "eq"}


class Unclear(Exception):
    """Say why an expression cannot be taken over; always caught inside of the import."""

    def __init__(self, why: str) -> None:
        """Keep the sentence itself: a text made of an exception can no longer be said in another language."""
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Term:
    """One node: `op` is name, field, text, number, bool, null, date, timestamp, list, an operator or a function."""

    op: str
    args: tuple[Term, ...] = ()
    value: Any = None

    def names(self) -> set[str]:
        """Collect the variables that it reads."""
        found = {str(self.value)} if self.op == "name" else set()
        return found.union(*(arg.names() for arg in self.args))


def negated(term: Term) -> Term:
    """Return the opposite."""
    if term.op == "not":
        return term.args[0]
    if term.op in _NEGATED and not any(arg.op == "null" for arg in term.args):
        return Term(_NEGATED[term.op], term.args)
    if term.op == "bool":
        return Term("bool", value=not term.value)
    return Term("not", (term,))


def turned(term: Term) -> Term:
    """Return a comparison with its sides exchanged."""
    return Term(_TURNED[term.op], (term.args[1], term.args[0]))


def without_offset(text: str) -> bool:
    """Say whether an expression holds a moment without an offset, which `moment_of` takes for one in UTC."""
    return re.search(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?(?![\d:.Zz+-])", text) is not None


def moment_of(text: str) -> Term | None:
    """Read a date or a moment; one without an offset is in UTC. None where it is neither."""
    plain = text.strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?", plain):
        if re.fullmatch(r".*[Tt]\d\d:\d\d([Zz]|[+-].*)?", plain):
            plain = plain[:16] + ":00" + plain[16:]
        plain = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", plain)
        plain = plain if re.search(r"([Zz]|[+-]\d\d:\d\d)$", plain) else plain + "Z"
    readers: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("date", moments.read_date),
        ("timestamp", moments.read_timestamp),
    )
    for op, read in readers:
        try:
            return Term(op, value=moments.write(read(plain)))
        except ValueError:
            continue
    return None
