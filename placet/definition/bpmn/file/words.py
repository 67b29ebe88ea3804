"""Texts of BPMN files: names, durations, and what a question or an answer means for an approval."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import Literal

from placet.definition.variables.shapes import RESERVED

Stance = Literal["approved", "rejected"]

_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d{1,9})?S)?)?"
)
_SHIFT = re.compile(r"\.plus(Years|Months|Weeks|Days|Hours|Minutes|Seconds)\(\s*(\d{1,6})\s*\)")
_UNITS = {
    "Years": 365 * 24.0, "Months": 30 * 24.0, "Weeks": 7 * 24.0, "Days": 24.0, "Hours": 1.0, "Minutes": 1 / 60,
    "Seconds": 1 / 3600,
}  # fmt: skip
_LONGEST_HOURS = 50 * 365 * 24

_YES = {"yes", "ja", "y", "true", "oui", "si"}
_NO = {"no", "nein", "n", "false", "non"}
_APPROVING = {
    "approve", "approved", "approves", "accept", "accepted", "accepts", "grant", "granted", "authorized", "authorised",
    "endorsed", "ok", "okay", "genehmigt", "genehmigen", "angenommen", "annehmen", "freigegeben", "freigeben",
    "bewilligt", "zugestimmt",
}  # fmt: skip
_REJECTING = {
    "reject", "rejected", "rejects", "decline", "declined", "declines", "deny", "denied", "denies", "refuse", "refused",
    "refuses", "disapprove", "disapproved", "disapproves", "vetoed", "unapproved", "abgelehnt", "ablehnen", "nok",
    "verweigert", "rejection",
}  # fmt: skip
_OPPOSING = {"not", "nicht", "isn", "wasn"}
# A question with one of these asks for a fact about the request, whatever it says of approvals.
_FACTS = {
    "exceed", "exceeds", "exceeded", "limit", "limits", "need", "needs", "needed", "require", "requires", "required",
    "necessary", "amount", "over", "above", "below", "more", "less", "than", "within",
    "already", "previously", "auto", "automatic", "automatically", "pre", "level", "exist", "exists", "count", "number",
    "risk", "score", "erforderlich", "noetig", "notwendig", "date", "list", "all", "fraud", "card", "credit", "payment",
}  # fmt: skip
_AFTER = {"by", "from", "the", "this", "request", "application", "it", "or", "and", "von", "durch"}
_ASKING = {
    "decision", "result", "outcome", "verdict", "review", "approval", "entscheidung", "ergebnis", "response", "status",
    "action", "answer", "genehmigung", "freigabe", "decide",
}  # fmt: skip
_REWORK = {
    "revise", "revision", "rework", "change", "changes", "back", "return", "returned", "resubmit", "clarify", "amend",
    "clarification", "correct", "correction", "corrections", "incomplete", "adjust", "modify", "ueberarbeiten", "info",
    "information", "nachbessern", "rueckfrage", "zurueck", "edit",
}  # fmt: skip


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
    return _bounded(span / timedelta(hours=1))


def hours_from_now(text: str) -> float | None:
    """Return how long from now a moment is, in hours: `P3D`, `now() + duration("P3D")`, `${now().plusDays(3)}`."""
    plain = text.strip()
    if (hours := hours_of(plain.strip("\"'"))) is not None:
        return hours
    inner = re.sub(r"^(?:[#$]\{(.*)\}|=(.*))$", lambda m: m[1] or m[2] or "", plain, flags=re.DOTALL).strip()
    quoted = re.fullmatch(r"""(?:now\(\)\s*\+\s*)?(?:duration\(\s*)?["']([^"']+)["']\s*\)?""", inner)
    if quoted is not None:
        return hours_of(quoted[1])
    shifts = list(_SHIFT.finditer(inner))
    rest = re.sub(r"\.(?:toDate|toString|toInstant)\(\)", "", _SHIFT.sub("", inner))
    if shifts and re.fullmatch(r"(?:[\w.]*\.)?(?:now|dateTime)\(\)", rest):
        return _bounded(sum(_UNITS[shift[1]] * int(shift[2]) for shift in shifts))
    return None


def hours_of_span(text: str) -> float | None:
    """Return a time as jBPM writes it, in hours: `4h`, `2d`, or an ISO 8601 duration."""
    short = re.fullmatch(r"\s*(\d{1,6})\s*([dhms])\s*", text)
    if short is None:
        return hours_of(text)
    return _bounded(int(short[1]) * {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}[short[2]])


def words(text: str) -> list[str]:
    """Split a name or a sentence into its words, in small letters: `isApproved` are two."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        parted = parted.replace(letter, plain)
    return re.findall(r"[a-z0-9]+", parted.lower())


def says(text: str) -> Stance | None:
    """Return what a name plainly says of an approval, as `Rejected`, `Not approved` or `Request approved` do."""
    found = set(words(text))
    yes, no = bool(found & _APPROVING), bool(found & _REJECTING)
    if yes == no:
        return None
    return _turned("approved" if yes else "rejected", bool(found & _OPPOSING))


def answer(text: str) -> bool | None:
    """Return whether a label says yes or no and nothing else."""
    found = words(text)
    if len(found) != 1:
        return None
    return True if found[0] in _YES else False if found[0] in _NO else None


def asks(text: str) -> Stance | None:
    """Return what a yes to this question, or a true variable of this name, says; None where it asks for something else.

    `Approved?` and `isApproved` ask for an approval, `Rejected?` for a rejection; `Approved budget exceeded?` asks for
    neither.
    """
    found = words(text)
    if not found or set(found) & _FACTS or any(word.isdecimal() for word in found):
        return None
    places = [index for index, word in enumerate(found) if word in _APPROVING | _REJECTING]
    if len(places) != 1:
        return None
    after = found[places[0] + 1 : places[0] + 2]
    if after and after[0] not in _AFTER:
        return None
    stance: Stance = "approved" if found[places[0]] in _APPROVING else "rejected"
    return _turned(stance, bool(set(found) & _OPPOSING))


def asks_for_decision(text: str) -> bool:
    """Whether a question leaves open what is decided, as `Decision?` does, or there is none."""
    found = words(text)
    if set(found) & _FACTS or any(word.isdecimal() for word in found):
        return False
    return not found or found[-1] in _ASKING or found[0] in _ASKING or asks(text) is not None


def says_rework(text: str) -> bool:
    """Whether a label says that the request goes back to whoever asked."""
    return bool(set(words(text)) & _REWORK)


def _turned(stance: Stance, opposite: bool) -> Stance:
    if not opposite:
        return stance
    return "rejected" if stance == "approved" else "approved"


def _bounded(hours: float) -> float | None:
    return hours if 0 < hours <= _LONGEST_HOURS else None
