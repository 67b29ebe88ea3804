"""Who does a task: the names that BPMN and its vendors have for people, as a blueprint names approvers."""

from __future__ import annotations

import re

from placet.bpmn.reader import Part, attribute, texts
from placet.bpmn.words import slug
from placet.errors import PlacetError
from placet.who import parse_who

_MOST = 50
_STARTERS = {"initiator", "starter", "startuserid"}


def approvers_of(part: Part) -> list[str]:
    """Return who approves: whom the task names, else the role of its lane; [] where nobody is named."""
    users = _split(attribute(part.element, "assignee"), attribute(part.element, "candidateUsers"))
    groups = _split(attribute(part.element, "candidateGroups"))
    named = [f"user:{name}" for name in users] + [f"group:{name}" for name in groups]
    if not named:
        named = [f"role:{slug(text, '')}" for text in texts(part.element, "formalExpression") if "${" not in text]
    if not named and part.lane:
        named = [f"role:{slug(part.lane, '')}"]
    return list(dict.fromkeys(name for name in named if _usable(name)))[:_MOST]


def _split(*lists: str | None) -> list[str]:
    """Split lists at commas; expressions stand for somebody whom only their own engine knows."""
    names = [name.strip() for text in lists if text for name in re.split(r"[,;]", text)]
    return [name for name in names if name and not re.match(r"[#$=]", name) and name.lower() not in _STARTERS]


def _usable(name: str) -> bool:
    if name.endswith(":"):
        return False
    try:
        parse_who(name)
    except PlacetError:
        return False
    return True
