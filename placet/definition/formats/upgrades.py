"""Upgrades: bring JSON of an older stored form to the current form as it is read.

A step for each number of `stored_format` (placet.definition.formats) takes raw JSON and says what that form left
unsaid, in the sense that it had then. Types have no defaults for that: whoever makes a value says everything, and what
is read says everything after its steps. A step adds what is missing and changes nothing that is there.

A run that began under older rules carries on by them; its numbers `format` and `rules` stay
(placet.definition.formats.Rules).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from placet.audit.chain import digest_of_content
from placet.definition.formats import ON_CHANGE, STORED
from placet.sentences import sentence

Raw = dict[str, Any]
Step = Callable[[Raw], Raw]


def upgraded_plan(raw: Any) -> Any:
    """Bring the raw JSON of a plan to the current form; what is no object is left to the type to refuse."""
    return _upgraded(raw, _PLAN) if isinstance(raw, dict) else raw


def upgraded_state(raw: Any) -> Any:
    """Bring the raw JSON of a state to the current form."""
    return _upgraded(raw, _STATE) if isinstance(raw, dict) else raw


def upgraded_start(raw: Any) -> Any:
    """Bring the raw JSON of what a run starts with to the current form, where more than one part of it is needed."""
    if not isinstance(raw, dict) or not isinstance(plan := raw.get("plan"), dict):
        return raw
    raw = _with_defaults(raw, timer_lead=None, marks_late=False, suggestion_recorded=False)
    parts: Raw = {}
    if isinstance(opening := raw.get("opening"), dict) and _number(plan) == 1:
        parts["opening"] = _with_defaults(opening, secret="", titled=True)
    if isinstance(state := raw.get("state"), dict):
        parts["state"] = _with_digest(plan, upgraded_state(state))
    return raw | parts


def upgraded_answer(raw: Any, **unsaid: Any) -> Any:
    """Add what the answer of a local activity lacks in histories of form 1: its time, and these values."""
    return _with_defaults(raw, at=None, **unsaid) if isinstance(raw, dict) else raw


def _number(raw: Mapping[str, Any]) -> int:
    """Return the form that a plan or a state is in: before it had a number of its own, it had that of its language."""
    number = raw.get("stored_format", 1 if "format" not in raw else 2)
    if number not in range(1, STORED + 1):
        raise ValueError(
            sentence(
                "stored_format is {number!r}, and this Placet reads 1 to {stored}; run the one that wrote it",
                number=number,
                stored=STORED,
            )
        )
    return int(number)


def _upgraded(raw: Raw, steps: Mapping[int, Step]) -> Raw:
    for number in range(_number(raw), STORED):
        raw = steps[number](raw) | {"stored_format": number + 1}
    return raw


def _with_defaults(raw: Raw, **values: Any) -> Raw:
    """Return the object with these values where it has none of its own."""
    return values | raw


def _each(raw: Raw, name: str, step: Step) -> Raw:
    """Carry out a step on each object of a list, where there is one."""
    items = raw.get(name)
    return {name: [step(i) if isinstance(i, dict) else i for i in items]} if isinstance(items, list) else {}


def _each_node(raw: Raw, step: Step) -> Raw:
    nodes = raw.get("points")
    if not isinstance(nodes, dict):
        return {}
    return {"points": {name: step(node) if isinstance(node, dict) else node for name, node in nodes.items()}}


def _plan_from_1(raw: Raw) -> Raw:
    """Add the values of form 1: a change keeps approvals, and no action runs again."""

    def node(raw: Raw) -> Raw:
        join = raw.get("join")
        more = {"join": _with_defaults(join, every=False)} if isinstance(join, dict) else {}
        return _with_defaults(raw, output={}, repetition=None) | more

    filled = _with_defaults(raw, format=1, rules=1, on_change=ON_CHANGE[1], immaterial=[], require_revision=False)
    return filled | _each_node(raw, node)


def _plan_from_2(raw: Raw) -> Raw:
    """Nothing becomes critical, nobody is chosen by an expression, and no expression asks for the time zone.

    No node names people, or computes values, but for its stage and what it has run.
    """

    def stage(raw: Raw) -> Raw:
        return _with_defaults(raw, critical=None) | _each(
            raw, "approvers", lambda spec: _with_defaults(spec, when=None)
        )

    def node(raw: Raw) -> Raw:
        filled = _with_defaults(raw, people=[], values=None)
        return filled | {n: stage(raw[n]) for n in ("stage", "repetition") if isinstance(raw.get(n), dict)}

    return _with_defaults(raw, offsets=[], rules=1) | _each_node(raw, node)


def _state_from_1(raw: Raw) -> Raw:
    """Add the values of form 1: the whole input counts as given by the requester."""

    def task(raw: Raw) -> Raw:
        return _with_defaults(raw, hand_overs=0, revision=1, content_digest="")

    filled = _with_defaults(
        raw, format=1, rules=1, secret="", revision=1, material=1, given=raw.get("input"), titled=True
    )
    more = _with_defaults(filled, content_digest="", revised=[], returned_at=None, held=[], results=[], strays=[])
    return more | _each(raw, "tasks", task)


def _state_from_2(raw: Raw) -> Raw:
    """Add the values of form 2: all tasks are kept, a quorum counts existing seats, the directory was read for any
    input.
    """

    def task(raw: Raw) -> Raw:
        return _with_defaults(raw, queue=None, on_behalf_of=None, critical_at=None)

    def stage(raw: Raw) -> Raw:
        return _with_defaults(raw, first=0, intended=len(raw.get("seats") or ()))

    filled = _with_defaults(raw, rules=1, opened=len(raw.get("tasks") or ()), votes=[], signals_refused=0, asked={})
    return _with_defaults(filled, directory_given=None) | _each(raw, "tasks", task) | _each(raw, "stages", stage)


_PLAN: dict[int, Step] = {1: _plan_from_1, 2: _plan_from_2}
_STATE: dict[int, Step] = {1: _state_from_1, 2: _state_from_2}


def _with_digest(plan: Raw, state: Raw) -> Raw:
    """Add the digest of the content, which a state of form 1 lacks and which needs its plan."""
    if state.get("content_digest"):
        return state
    digest = digest_of_content(plan.get("name"), plan.get("version"), state.get("title"), state.get("given"))
    return state | {"content_digest": digest} | _each(state, "tasks", lambda task: task | {"content_digest": digest})
