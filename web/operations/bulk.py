"""What acts on several requests would do, and have done, to each: in words, with the people by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from placet.audit.chain import Entry
from placet.errors import PlacetError
from service.administration.bulk import Item, Looked
from web.languages import Wording
from web.views.people import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkLine:
    """One item: its title, the texts that say what happens to it, and why it does not, if so."""

    item: Item
    title: str
    texts: tuple[str, ...] = ()
    word: str = ""
    tone: str = "plain"
    problem: str | None = None

    @property
    def value(self) -> str:
        """What the form says of it: the request, the task, and the entry after which it was looked at."""
        return f"{self.item.request_id}|{self.item.task_id or ''}|{self.item.seq}"


def people_of(found: Sequence[Looked]) -> list[str]:
    """Return everybody whom the effects name."""
    return [name for one in found for entry in one.entries for name in _named(entry)]


def line_of(one: Looked, names: Names, wording: Wording) -> BulkLine:
    """Return what would happen to an item."""
    if one.refused is not None:
        return BulkLine(item=one.item, title=one.title, problem=one.refused.message)
    texts = (_said(entry, names, wording) for entry in one.entries)
    return BulkLine(item=one.item, title=one.title, texts=tuple(dict.fromkeys(text for text in texts if text)))


def result_of(item: Item, title: str, outcome: Any, wording: Wording, *, unknown: bool) -> BulkLine:
    """Return what came of an item."""
    if isinstance(outcome, PlacetError):
        word = wording.say("Unknown; try again") if unknown else wording.say("Not done")
        return BulkLine(item=item, title=title, word=word, tone="bad", problem=outcome.message)
    return BulkLine(item=item, title=title, word=wording.say("Done"), tone="good")


def _said(entry: Entry, names: Names, wording: Wording) -> str:
    """Return an effect in words; nothing for one that follows from the others."""
    say, before, after = wording.say, entry.detail.get("before"), entry.detail.get("after")
    if entry.kind == "cancelled":
        return say("The request ends as cancelled.")
    if entry.kind == "task_closed":
        return say("“{stage}” is no longer asked.").format(stage=entry.stage or "")
    if entry.kind == "extended" and isinstance(before, dict) and isinstance(after, dict):
        return say("“{stage}”: due {after} instead of {before}.").format(
            stage=entry.stage or "", before=_at(before, wording), after=_at(after, wording)
        )
    if entry.kind == "reassigned":
        named = [names(one) for one in _named(entry)]
        text = say("“{stage}”: {after} gets it from {before}.")
        return text.format(stage=entry.stage or "", before=named[0], after=named[-1]) if named else ""
    return ""


def _named(entry: Entry) -> list[str]:
    """Return who had a task, and who gets it."""
    if entry.kind != "reassigned":
        return []
    sides = (entry.detail.get(side) for side in ("before", "after"))
    return [side["assignee"] for side in sides if isinstance(side, dict) and isinstance(side.get("assignee"), str)]


def _at(side: dict[str, Any], wording: Wording) -> str:
    at = side.get("due_at")
    return wording.moment(datetime.fromisoformat(at)) if isinstance(at, str) else str(at or "-")
