"""Assignee names: the small language that names approvers and escalation targets.

user:alice                  one person, by id
role:cfo, cfo               everyone who holds a role of the organisation (a bare name is a role)
group:finance               everyone in a group
requester                   whoever asked (useful inside manager_of and for notices)
owner                       the process owner
assignee                    whoever holds the task (escalation only)
input:sponsor               the person whose id the request's input carries in that variable
inputs:sponsors             everyone whose id the request's input carries in that variable, a list
manager_of(X)               the manager of the one person that X names
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

from placet.errors import BlueprintInvalid
from placet.sentences import sentence

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}"
_SIMPLE = re.compile(rf"(?:(user|role|group|inputs?):)?({_NAME})")
_ID = re.compile(_NAME)
_MANAGER = re.compile(r"manager_of\((.*)\)")
_SINGLE = {"requester", "owner", "assignee"}
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class AssigneeName:
    """One parsed name: `kind` is user, role, group, input, inputs, requester, owner, assignee or manager_of."""

    kind: str
    name: str = ""
    of: AssigneeName | None = None

    def __str__(self) -> str:
        if self.kind == "manager_of":
            return f"manager_of({self.of})"
        return self.kind if self.kind in _SINGLE else f"{self.kind}:{self.name}"

    @property
    def single(self) -> bool:
        """Say whether this names one person, not those of a role, a group or a list."""
        return self.kind not in {"role", "group", "inputs"}

    @property
    def given(self) -> bool:
        """Say whether a variable of the request holds the person."""
        return self.kind in {"input", "inputs"}

    @property
    def root(self) -> AssigneeName:
        """Return the innermost name, which a chain of `manager_of` starts from."""
        return self.of.root if self.of is not None else self


@lru_cache(maxsize=4096)
def parse_assignee(text: str) -> AssigneeName:
    """Parse one name; raises BlueprintInvalid with a sentence that says what to write instead."""
    return _parse(text.strip(), 0)


def _parse(text: str, depth: int) -> AssigneeName:
    if depth > _DEEPEST:
        raise BlueprintInvalid(
            sentence("manager_of is nested deeper than {deepest} levels; name a role instead", deepest=_DEEPEST)
        )
    if manager := _MANAGER.fullmatch(text):
        inner = _parse(manager.group(1).strip(), depth + 1)
        if not inner.single:
            raise BlueprintInvalid(
                sentence(
                    "manager_of needs one person, but {inner} can be several; write manager_of(user:…)", inner=inner
                )
            )
        return AssigneeName("manager_of", of=inner)
    if text in _SINGLE:
        return AssigneeName(text)
    if simple := _SIMPLE.fullmatch(text):
        return AssigneeName(simple.group(1) or "role", simple.group(2))
    raise BlueprintInvalid(
        sentence(
            "{text!r} names nobody; write user:ID, role:NAME, group:NAME, input:VARIABLE, "
            "manager_of(requester) or owner",
            text=text,
        )
    )


def undeclared(text: str, variables: Container[str]) -> str | None:
    """Return the problem of a name with an undeclared variable; None where there is none."""
    root = parse_assignee(text).root
    if not root.given or root.name in variables:
        return None
    return f"there is no variable {root.name!r}; declare it or name somebody else"


def people_in(value: object) -> list[str]:
    """Return the ids of the people whom a variable's value names: one, or each of a list, once."""
    named = value if isinstance(value, list | tuple) else [value]
    return list(dict.fromkeys(person_id(one) for one in named if isinstance(one, str)))


def is_person(text: str) -> bool:
    """Tell whether this can be the id of a person."""
    return _ID.fullmatch(text) is not None


def person_id(reference: str) -> str:
    """Return the bare id of `user:alice` or `alice`."""
    return reference.removeprefix("user:")
