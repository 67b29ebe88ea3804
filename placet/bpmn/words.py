"""The words of BPMN files: names, durations, people, and conditions, as a blueprint writes them."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta

from placet.conditions import compile_condition
from placet.errors import PlacetError
from placet.shapes import RESERVED
from placet.variables import Variable, scope_of

_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d{1,9})?S)?)?"
)
_WRAPPED = re.compile(r"\s*[#$]\{(.*)\}\s*|\s*=(?!=)(.*)", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"\\]*"|'[^'\\]*')|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]{0,63}\b)"""
    r"""|(?P<sign>==|!=|<=|>=|<|>|=|&&|\|\||!|\(|\)))\s*"""
)
_ALIKE = {"and": "&&", "or": "||", "not": "!", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_COMPARES = {"==", "!=", "<", ">", "<=", ">="}
_YES = {
    "yes",
    "ja",
    "y",
    "ok",
    "true",
    "approve",
    "approved",
    "accept",
    "accepted",
    "granted",
    "genehmigt",
    "angenommen",
}
_NO = {"no", "nein", "n", "false", "reject", "rejected", "decline", "declined", "denied", "refused", "abgelehnt"}


def slug(text: str, otherwise: str, *, longest: int = 60) -> str:
    """Write a name in small letters, digits and _, beginning with a letter; `otherwise` where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:longest].strip("_")
    found = found if not found or found[0].isalpha() else f"x_{found}"[:longest]
    return f"{found}_" if found in RESERVED else found or otherwise


def hours_of(text: str) -> float | None:
    """Return an ISO 8601 duration in hours, or None where it is none (or nothing); a year has 365 days, a month 30."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        span = timedelta(
            days=365 * years + 30 * months + 7 * weeks + days, hours=hours, minutes=minutes, seconds=seconds
        )
    except OverflowError:
        return None
    found = span / timedelta(hours=1)
    return found if 0 < found <= 50 * 365 * 24 else None


def verdict(text: str) -> str | None:
    """Return approved or rejected where a name plainly says one of them, else None."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    yes, no = bool(words & _YES), bool(words & _NO) or "not" in words
    if yes == no:
        return None
    return "approved" if yes else "rejected"


def condition_of(text: str) -> tuple[str, dict[str, str]] | None:
    """Return a condition as CEL and the types of its variables, or None where it is not plain enough to be sure.

    Plain is: names compared with numbers or texts, truths, `and`, `or`, `not`, brackets; in `${…}` or FEEL's `=…`.
    """
    wrapped = _WRAPPED.fullmatch(text)
    source = (wrapped[1] if wrapped[1] is not None else wrapped[2]) if wrapped else text
    tokens = _tokens(source)
    if tokens is None:
        return None
    types: dict[str, str] = {}
    for index, (kind, token) in enumerate(tokens):
        if kind != "name":
            continue
        beside = _beside(tokens, index)
        if beside == "name" or (token in types and types[token] != beside):
            return None
        types[token] = beside
    variables = [
        Variable.model_validate({"name": name, "type": kind, "required": True}) for name, kind in types.items()
    ]
    cel = " ".join(token for _, token in tokens)
    try:
        compile_condition(cel, scope_of(variables))
    except PlacetError:
        return None
    return (cel, types) if types else None


def _tokens(source: str) -> list[tuple[str, str]] | None:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(source.rstrip()):
        match = _TOKEN.match(source, at)
        if match is None or len(found) > 200:
            return None
        at = match.end()
        kind, token = str(match.lastgroup), match[str(match.lastgroup)]
        if kind == "text":
            token = '"' + token[1:-1].replace('"', '\\"') + '"'
        elif kind == "sign":
            token = "==" if token == "=" else token  # noqa: S105 - of an expression
        elif token in _ALIKE:
            kind, token = "sign", _ALIKE[token]
        elif kind == "word" and token not in {"true", "false"}:
            if token in RESERVED:
                return None
            kind = "name"
        found.append((kind, token))
    return found


def _beside(tokens: list[tuple[str, str]], index: int) -> str:
    """Return the type that a name has by what it is compared with."""
    for sign, other in ((index + 1, index + 2), (index - 1, index - 2)):
        if 0 <= sign < len(tokens) and tokens[sign][1] in _COMPARES and 0 <= other < len(tokens):
            kind, token = tokens[other]
            return {"number": "decimal", "text": "string", "name": "name"}.get(kind, "boolean" if token else "name")
    return "boolean"
