"""Bound actions: the one action of a machine that a request asks people to approve, and its digest.

The digest is SHA-256 over the bytes `placet action 1`, a line feed, and the RFC 8785 form of the action. RFC 8785
writes numbers as doubles, so that 1 is 1.0. A number that a double does not hold exactly is refused: two actions that
differ would have one digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import rfc8785

from placet.audit.chain import moment
from placet.definition.json_schema.forms import check_text
from placet.errors import InputInvalid
from placet.json_pointer import pointer_to
from placet.json_values import DEEPEST, check_json
from placet.sentences import sentence

_PREFIX = b"placet action 1\n"
_EXACT = 2**53  # the largest whole number up to which a double holds each
_LONGEST = 64_000  # bytes of an action in its RFC 8785 form: all of it is shown to whoever decides
_LONGEST_NAME = 500  # characters of its type and its target
_FURTHEST = timedelta(days=36_600)  # from now; the engine sets no timer for much later


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundAction:
    """What a machine will do once it is approved: `type` on `target` with these `parameters`, up to `expires_at`.

    The parameters are JSON values, with whole numbers as int and others as float (see `exact_numbers`).
    """

    type: str
    target: str
    parameters: dict[str, Any]
    expires_at: datetime

    @property
    def document(self) -> dict[str, Any]:
        """Return the action as JSON has it."""
        return {
            "type": self.type,
            "target": self.target,
            "parameters": self.parameters,
            "expires_at": moment(self.expires_at),
        }

    @property
    def digest(self) -> str:
        """Return the digest (hex) of the action."""
        return digest_of(self.document)


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the digest (hex) of an action's document; raises ValueError for what RFC 8785 has no form for."""
    return hashlib.sha256(_PREFIX + rfc8785.dumps(_as_doubles(document))).hexdigest()


def bound_action(
    *, kind: str, target: str, parameters: Mapping[str, Any], expires_at: datetime, at: str
) -> BoundAction:
    """Return an action as it was sent; `at` is the JSON Pointer of it. Raises InputInvalid for what cannot be one."""
    given = BoundAction(
        type=kind,
        target=target,
        parameters=exact_numbers(parameters, f"{at}/parameters"),
        expires_at=expires_at,
    )
    check_action(given, at)
    return given


def check_action(action: BoundAction, at: str, *, now: datetime | None = None) -> None:
    """Raise InputInvalid for an action that cannot be one, or (given `now`) that can no longer be claimed."""
    for name in ("type", "target"):
        text = getattr(action, name)
        if check_text(text, f"{at}/{name}", optional=False) != text or not text.isprintable():
            raise InputInvalid.at(f"{at}/{name}", "write it on one line, without space around it or hidden characters")
        if len(text) > _LONGEST_NAME:
            message = sentence("write at most {longest} characters", longest=_LONGEST_NAME)
            raise InputInvalid.at(f"{at}/{name}", message)
    check_json(action.parameters, f"{at}/parameters")
    exact_numbers(action.parameters, f"{at}/parameters")
    if action.expires_at.tzinfo is None:
        raise InputInvalid.at(f"{at}/expires_at", "give the moment with its time zone")
    if len(rfc8785.dumps(_as_doubles(action.document))) > _LONGEST:
        message = sentence(
            "the action is longer than {longest} bytes; leave out what nobody has to approve", longest=_LONGEST
        )
        raise InputInvalid.at(at or "/", message)
    if now is not None and not now < action.expires_at <= now + _FURTHEST:
        message = "give a moment in the future, and at most 100 years from now"
        raise InputInvalid.at(f"{at}/expires_at", message)


def exact_numbers(value: Any, at: str, depth: int = 0) -> Any:
    """Return JSON values with each number in its one form: whole numbers as int, others as float.

    Raises InputInvalid for a whole number beyond 2^53 and for one that a double does not hold as it is written.
    """
    if depth > DEEPEST:
        raise InputInvalid.at(at, sentence("this is nested deeper than {deepest} levels", deepest=DEEPEST))
    if isinstance(value, Mapping):
        return {name: exact_numbers(one, pointer_to(at, str(name)), depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [exact_numbers(one, f"{at}/{index}", depth + 1) for index, one in enumerate(value)]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    return _exact(value, at)


def _exact(number: float | Decimal, at: str) -> int | float:
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not exact.is_finite():
        raise InputInvalid.at(at, "write a finite number")
    if exact == exact.to_integral_value():
        if exact.copy_abs() > _EXACT:
            raise InputInvalid.at(
                at, "a whole number beyond 2^53 is not exact in JSON, and cannot be approved; write it as text"
            )
        return int(exact)
    held = float(exact)
    if Decimal(repr(held)) != exact:
        raise InputInvalid.at(
            at, "this number has more digits than JSON keeps, and cannot be approved; round it or write it as text"
        )
    return held


def _as_doubles(value: Any) -> Any:
    """Return the values with 2^53 as a double: RFC 8785 holds it, and the library takes whole numbers below it."""
    if isinstance(value, Mapping):
        return {name: _as_doubles(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_doubles(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) == _EXACT:
        return float(value)
    return value
