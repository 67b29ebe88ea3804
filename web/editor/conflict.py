"""Two people change the same fields of a draft: what each of them wrote, and the draft as it is when one has chosen."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from placet.errors import DraftChanged, InputInvalid
from placet.json_pointer import parts_of, value_at
from service.drafts.merge import ABSENT, MergeConflict, merge
from web.editor.labels import label_of
from web.editor.page import as_text
from web.editor.parts import Content
from web.forms.fields import entered
from web.forms.reading import Entries
from web.languages import Wording

_NAMES = ("name", "stage_name", "id")


@dataclass(frozen=True, kw_only=True)
class ConflictLine:
    """A field that both changed, and what each of them wrote."""

    pointer: str
    label: str
    theirs: str
    mine: str


@dataclass(frozen=True, kw_only=True)
class ConflictView:
    """What one person has to choose: their own content, and the fields about which two differ."""

    who: str
    mine: str
    lines: tuple[ConflictLine, ...]


def conflict_of(base: Content, mine: Content, error: DraftChanged, who: str, wording: Wording) -> ConflictView:
    """Return what two people wrote into the same fields of what they both began with."""
    found = merge(base, error.content, mine)
    lines = tuple(
        ConflictLine(
            pointer=one.pointer,
            label=_label(error.content, one, wording),
            theirs=_text(one.theirs, wording),
            mine=_text(one.mine, wording),
        )
        for one in found.conflicts
    )
    return ConflictView(who=who, mine=as_text(mine), lines=lines)


def mine_of(entries: Entries, wording: Wording) -> dict[str, Any]:
    """Return the content that somebody wanted to save; raises InputInvalid where the form does not hold it."""
    try:
        found = json.loads(entries.text("mine"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputInvalid(wording.say("This form is not complete. Open the draft again."))
    return found


def settled(base: Content, theirs: Content, entries: Entries, *, overlay: bool, wording: Wording) -> dict[str, Any]:
    """Return the content as somebody has chosen, field by field, or with all of their own where two differ.

    Raises InputInvalid where the form does not hold their content.
    """
    mine = mine_of(entries, wording)
    if overlay:
        whole: dict[str, Any] = merge(base, theirs, mine, conflicts_to="mine").content
        return whole
    found = merge(base, theirs, mine)
    content: dict[str, Any] = copy.deepcopy(found.content)
    chosen = {
        entries.text(f"pointer.{name[7:]}")
        for name in entries.values
        if name.startswith("choice.") and entries.text(name) == "mine"
    }
    for one in found.conflicts:
        if one.pointer in chosen:
            _put(content, one.pointer, one.mine)
    return content


def _put(content: dict[str, Any], pointer: str, value: Any) -> None:
    *path, last = parts_of(pointer)
    there: Any = content
    for key in path:
        there = there[int(key)] if isinstance(there, list) else there.get(key)
        if there is None:
            return
    if isinstance(there, list):
        number = int(last)
        if value is ABSENT and number < len(there):
            del there[number]
        elif value is not ABSENT and number < len(there):
            there[number] = value
        elif value is not ABSENT:
            there.append(value)
    elif value is ABSENT:
        there.pop(last, None)
    else:
        there[last] = value


def _label(theirs: Content, one: MergeConflict, wording: Wording) -> str:
    """Return the field that a conflict is about, with what it is a field of."""
    *path, last = parts_of(one.pointer)
    words = [] if last.isdecimal() else [label_of(last, wording.say)]
    for length in range(len(path), 0, -1):
        around = value_at(theirs, "".join(f"/{part}" for part in path[:length]))
        if isinstance(around, Mapping):
            name = next((str(around[key]) for key in _NAMES if around.get(key)), None)
            if name is not None:
                words.insert(0, name)
                break
    if not words:
        value = one.mine if isinstance(one.mine, Mapping) else one.theirs
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
