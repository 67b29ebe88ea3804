"""The action that a request is bound to, as those who decide read it: every parameter, exactly as it is digested."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.queries.requests.requests import RequestRow
from web.languages import Wording, utc
from web.views.people import Names
from web.views.words import marked as _

# A text that reads as another JSON value is shown in quotes, so that it is told apart from that.
_LOOKS_ELSE = re.compile(r'\s.*|.*\s|-?[\d.,]+([eE][+-]?\d+)?|true|false|null|"|\[|\{|', re.DOTALL)
_PATH = " → "
_STATES = {
    "open": (_("can be claimed"), "good"),
    "claimed": (_("claimed"), "plain"),
    "expired": (_("approval expired"), "warn"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: the names that lead to it, and its value as JSON has it."""

    path: str
    value: str
    number: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """An action, and what became of its approval. `over` says that it can no longer be claimed at all."""

    type: str
    target: str
    parameters: tuple[Parameter, ...]
    expires_at: datetime | None
    over: bool
    digest: str | None
    state: str | None
    tone: str
    claimed_by: str | None
    claimed_at: datetime | None


def action_of(request: RequestRow, names: Names, wording: Wording) -> ActionView | None:
    """Return the action of a request; None where it has none, or where it was erased."""
    action = request.action
    if action is None:
        return None
    expires_at = utc(str(action.get("expires_at")))
    state, tone = _STATES.get(request.claim_status or "", (None, "open"))
    over = expires_at is not None and expires_at <= wording.now
    if over and request.claim_status == "open":  # the engine is about to note it
        state, tone = _STATES["expired"]
    return ActionView(
        type=visible(str(action.get("type"))),
        target=visible(str(action.get("target"))),
        parameters=tuple(_parameters(action.get("parameters"), ())),
        expires_at=expires_at,
        over=over and request.claim_status != "claimed",
        digest=request.action_digest,
        state=wording.say(state) if state is not None else None,
        tone=tone,
        claimed_by=names(request.claimed_by) if request.claimed_by is not None else None,
        claimed_at=request.claimed_at,
    )


def visible(text: str) -> str:
    """Return a text with each character that is not seen, or that turns what follows, written by its code."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else f"\\u{{{ord(one):04x}}}" for one in text)


def _parameters(value: Any, path: tuple[str, ...]) -> Iterator[Parameter]:
    """Yield each value within a value, in the order in which they were sent."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _parameters(inner, (*path, _name(name)))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value, 1):
            yield from _parameters(inner, (*path, f"#{number}"))
    elif path:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        yield Parameter(path=_PATH.join(path), value=_written(value), number=number)


def _name(name: str) -> str:
    return json.dumps(visible(name), ensure_ascii=False) if not name or _PATH.strip() in name else visible(name)


def _written(value: Any) -> str:
    if isinstance(value, str) and not _LOOKS_ELSE.fullmatch(value):
        return visible(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 2^53, as its digest has it
    return visible(json.dumps(value, ensure_ascii=False))
