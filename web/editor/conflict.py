"""Two people change the same fields of a draft: what each of them wrote, and what one of them chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from placet.errors import DraftChanged, InputInvalid
from placet.json_pointer import parts_of, value_at
from service.drafts.merge import ABSENT
from web.editor.labels import label_of
from web.editor.page import as_text
from web.editor.parts import Content
from web.forms.fields import entered
from web.forms.reading import Entries
from web.languages import Wording

_NAMES = ("name", "stage_name", "id")
_CHOICE = "choice."


@dataclass(frozen=True, kw_only=True)
class ConflictLine:
    """A field that both changed, and what each of them wrote."""

    pointer: str
    label: str
    theirs: str
    mine: str


@dataclass(frozen=True, kw_only=True)
class ConflictView:
    """What one person has to choose: their own content, and the fields about which it differs from a revision."""

    who: str
    revision: int
    mine: str
    lines: tuple[ConflictLine, ...]


def conflict_of(error: DraftChanged, mine: Content, who: str, wording: Wording) -> ConflictView:
    """Return what two people wrote into the same fields of what they both began with."""
    lines = []
    for one in error.conflicts:
        theirs, own = (one.get(side, ABSENT) for side in ("theirs", "mine"))
        label = _label(error.content, one["pointer"], theirs, own, wording)
        lines.append(
            ConflictLine(pointer=one["pointer"], label=label, theirs=_text(theirs, wording), mine=_text(own, wording))
        )
    return ConflictView(who=who, revision=error.revision, mine=as_text(mine), lines=tuple(lines))


def mine_of(entries: Entries, wording: Wording) -> dict[str, Any]:
    """Return the content that somebody wanted to save; raises InputInvalid where the form does not hold it."""
    try:
        found = json.loads(entries.text("mine"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputInvalid(wording.say("This form is not complete. Open the draft again."))
    return found


def mine_at(entries: Entries) -> frozenset[str]:
    """Return the pointers of the fields of which somebody has chosen their own value."""
    return frozenset(
        entries.text(f"pointer.{name.removeprefix(_CHOICE)}")
        for name in entries.values
        if name.startswith(_CHOICE) and entries.text(name) == "mine"
    )


def _label(content: Content, pointer: str, theirs: Any, mine: Any, wording: Wording) -> str:
    """Return the field that a conflict is about, with what it is a field of."""
    if not pointer:
        return wording.say("Process")
    *path, last = parts_of(pointer)
    words = [] if last.isdecimal() else [label_of(last, wording.say)]
    for length in range(len(path), 0, -1):
        around = value_at(content, "".join(f"/{part}" for part in path[:length]))
        if isinstance(around, Mapping):
            name = next((str(around[key]) for key in _NAMES if around.get(key)), None)
            if name is not None:
                words.insert(0, name)
                break
    if not words:
        value = mine if isinstance(mine, Mapping) else theirs
        words = (
            [str(next((value[key] for key in _NAMES if value.get(key)), last))]
            if isinstance(value, Mapping)
            else [last]
        )
    return " · ".join(words)


def _text(value: Any, wording: Wording) -> str:
    if value is ABSENT:
        return wording.say("(removed)")
    return as_text(value) if isinstance(value, dict | list) else entered(value)
