"""People of a task: how Camunda, Flowable and jBPM name them, as a blueprint names approvers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from placet.definition.assignees import parse_assignee
from placet.definition.bpmn.file.parser import read_term, unwrapped
from placet.definition.bpmn.file.reader import Part, children, setting, tag, texts
from placet.definition.bpmn.file.terms import Unclear
from placet.definition.bpmn.file.words import slug, words
from placet.errors import PlacetError
from placet.sentences import sentence

_MOST = 50
_STARTERS = {
    "initiator", "starter", "startuserid", "requester", "applicant", "processinitiator", "initiatorid",
    "processinstance.startuserid", "startedby", "execution.startuserid", "initiator.id", "initiator.username",
}  # fmt: skip
_MANAGER = {"manager", "supervisor", "boss", "superior", "vorgesetzter"}
_BESIDE = {  # words that leave a manager the requester's
    "id", "line", "direct", "initiator", "requester", "employee", "user", "get", "find", "of", "the", "s", "name",
    "for", "starter", "service", "bean", "my", "username", "lookup", "execution", "variable", "applicant", "ldap",
    "identity",
}  # fmt: skip


@dataclass(slots=True)
class NamedApprovers:
    """Who a task names: `approvers` as a blueprint writes them, whether the requester does it, and what to say of it.

    `variables` are those that say who it is. `excluded` are who must not do it.
    """

    approvers: list[str] = field(default_factory=list)
    requester: bool = False
    variables: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    candidates: bool = False  # several who may take it, where the first does it


def named_by(part: Part, starters: frozenset[str] = frozenset()) -> NamedApprovers:
    """Return whom a task names, else the role of its lane; `starters` are the file's names for whoever starts it."""
    found = NamedApprovers()
    inputs = task_inputs(part)
    assignees = _listed(setting(part, "assignee"))
    users = _listed(setting(part, "candidateUsers"))
    groups = _listed(setting(part, "candidateGroups"))
    assignees += _listed(inputs.get("ActorId"))
    groups += _listed(inputs.get("GroupId"))
    owners = [text for text in texts(part.element, "formalExpression") if _of_people(part, text)]
    for owner in owners:
        named_users, named_groups = _owned(owner, found, starters, people=bool(inputs))
        users, groups = users + named_users, groups + named_groups
    found.excluded = _listed(inputs.get("ExcludedOwnerId"))
    if assignees and (users or groups):
        found.assumed.append(sentence("whoever it is assigned to decides; its candidates are not asked"))
        users, groups = [], []
    found.candidates = bool(users or groups)
    for name in assignees + users:
        _person(name, found, starters)
    for name in groups:
        _group(name, found)
    if not found.approvers and not found.requester and part.lane:
        _take(found, f"role:{slug(part.lane, '')}")
    found.approvers = list(dict.fromkeys(found.approvers))
    if len(found.approvers) > _MOST:
        found.lost.append(
            sentence(
                "only the first {most} of {count} people and groups are asked", most=_MOST, count=len(found.approvers)
            )
        )
        del found.approvers[_MOST:]
    return found


def task_inputs(part: Part) -> dict[str, str]:
    """Return what jBPM's inputs of a task are given: a text, or `#{variable}`."""
    names = {given.get("id", ""): given.get("name", "") for given in part.element.iter() if tag(given) == "dataInput"}
    found: dict[str, str] = {}
    for link in part.element.iter():
        if tag(link) != "dataInputAssociation":
            continue
        target = next((name for inner in link if tag(inner) == "targetRef" for name in [inner.text or ""]), "").strip()
        value = next(iter(texts(link, "from")), None)
        source = next(iter(texts(link, "sourceRef")), None)
        if target in names and (value or source):
            found[names[target]] = value or f"#{{{source}}}"
    return found


def is_starter(text: str, starters: frozenset[str] = frozenset()) -> bool:
    """Whether a name or expression stands for whoever started the request."""
    plain = unwrapped(text).strip("\"' ")
    return plain.lower() in _STARTERS or plain in starters or plain.upper() == "$INITIATOR"


def named_in(text: str | None) -> list[str]:
    """Return the names of a list that a blueprint can write as they are."""
    return [name for name in _listed(text) if not _expressed(name) and _usable(f"user:{name}")]


def variable_of(text: str) -> str | None:
    """Return the variable that an expression is and nothing else, None where it is more, or no expression."""
    if not _expressed(text):
        return None
    try:
        term = read_term(text)
    except Unclear:
        return None
    return str(term.value) if term.op == "name" else None


def _owned(owner: str, found: NamedApprovers, starters: frozenset[str], *, people: bool) -> tuple[list[str], list[str]]:
    """Read a resource expression, `user(kermit), group(management)`: return the people and the groups that it names.

    A name alone is a person's where the task is written for jBPM (`people`), else a role's.
    """
    users: list[str] = []
    groups: list[str] = []
    for name in _listed(owner):
        kinds = re.fullmatch(r"(user|group|role)\((.+)\)", name)
        kind, who = (kinds[1], kinds[2]) if kinds is not None else ("user" if people else "role", name)
        if kind == "user" or _expressed(name) or is_starter(name, starters):
            users.append(who)
        elif kind == "group":
            groups.append(who)
        else:
            _take(found, f"role:{slug(who, '')}")
    return users, groups


def _of_people(part: Part, text: str) -> bool:
    """Whether a formal expression stands in a performer, not in a condition or an assignment."""
    return any(
        (inner.text or "").strip()[:4000] == text
        for role in children(part.element, "potentialOwner", "humanPerformer", "performer", "resourceRole")
        for inner in role.iter()
        if tag(inner) == "formalExpression"
    )


def _person(name: str, found: NamedApprovers, starters: frozenset[str]) -> None:
    if is_starter(name, starters):
        found.requester = True
    elif not _expressed(name):
        _take(found, f"user:{name}")
    elif (texts_in := _constants(name)) is not None:
        for text in texts_in:
            _take(found, f"user:{text}")
    elif _manages(unwrapped(name)):
        found.approvers.append("manager_of(requester)")
        found.assumed.append(sentence("{name} is taken as the manager of whoever asks", name=name))
    elif (variable := variable_of(name)) is not None:
        found.variables.append(variable)
        found.approvers.append(f"input:{variable}")
        found.assumed.append(
            sentence("the requester says who {name} is, in the input {variable!r}", name=name, variable=variable)
        )
    else:
        found.approvers.append("manager_of(requester)")
        found.assumed.append(
            sentence("only the other engine knows who {name} is; the requester's manager is asked instead", name=name)
        )


def _group(name: str, found: NamedApprovers) -> None:
    if not _expressed(name):
        _take(found, f"group:{name}")
    elif (constants := _constants(name)) is not None:
        for text in constants:
            _take(found, f"group:{text}")
    else:
        found.approvers.append("manager_of(requester)")
        found.assumed.append(
            sentence(
                "the group {name} is only known while it runs; the requester's manager is asked instead", name=name
            )
        )


def _take(found: NamedApprovers, name: str) -> None:
    kind, _, who = name.partition(":")
    plain = who if _usable(name) else slug(who, "")
    if not plain:
        return
    if plain != who:
        found.assumed.append(sentence("the {kind} {who!r} is written {plain!r}", kind=kind, who=who, plain=plain))
    found.approvers.append(f"{kind}:{plain}")


def _manages(text: str) -> bool:
    found = set(words(text))
    return bool(found & _MANAGER) and not found - _MANAGER - _BESIDE


def _constants(name: str) -> list[str] | None:
    """Return the texts that an expression is: `= "kermit"`, `= ["a", "b"]`, `${'kermit'}`."""
    try:
        term = read_term(name)
    except Unclear:
        return None
    items = term.args if term.op == "list" else (term,)
    return [str(item.value) for item in items] if all(item.op == "text" for item in items) and items else None


def _listed(text: str | None) -> list[str]:
    """Split a list at its commas, but not inside of expressions."""
    if not text or not text.strip():
        return []
    if text.strip().startswith("="):
        return [text.strip()]
    return [name for name in (part.strip() for part in _parts(text)) if name]


def _parts(text: str) -> Iterator[str]:
    depth, begin = 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "({[") - (letter in ")}]")
        if letter in ",;" and depth <= 0:
            yield text[begin:index]
            begin = index + 1
    yield text[begin:]


def _expressed(name: str) -> bool:
    return re.match(r"\s*([#$]\{|=)", name) is not None


def _usable(name: str) -> bool:
    if name.endswith(":"):
        return False
    try:
        parse_assignee(name)
    except PlacetError:
        return False
    return True
