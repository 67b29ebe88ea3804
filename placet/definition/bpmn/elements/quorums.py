"""Multi-instance tasks: a quorum of several approvers, all at once or one after the other."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any
from xml.etree.ElementTree import Element

from placet.definition.bpmn.build import Build
from placet.definition.bpmn.elements.outcomes import paths
from placet.definition.bpmn.elements.people import NamedApprovers, variable_of
from placet.definition.bpmn.file.parser import read_term
from placet.definition.bpmn.file.reader import Part, attribute, tag, texts
from placet.definition.bpmn.file.terms import Term, Unclear
from placet.definition.bpmn.file.words import says, words
from placet.sentences import sentence

_DONE = {"nrOfCompletedInstances", "numberOfCompletedInstances"}
_ALL = {"nrOfInstances", "numberOfInstances"}
_LEFT = {"nrOfActiveInstances", "numberOfActiveInstances"}
_STRICTLY = Fraction(1, 1000)  # per cent that "more than" a share asks for beyond it: no stage has so many seats
_SIGN = {"eq": "ge", "ge": "ge", "gt": "gt"}
_NONE = (Fraction(0), Fraction(0))
_TURN = {"le": "ge", "lt": "gt", "eq": "eq", "ge": "le", "gt": "lt"}


def several(build: Build, part: Part, step: dict[str, Any], named: NamedApprovers) -> None:
    """Make a quorum of a multi-instance task; what it is repeated for besides people is lost, and said."""
    own = [child for child in part.element if tag(child).endswith("LoopCharacteristics")]
    if not own:
        return
    loop = own[0]
    if tag(loop) == "standardLoopCharacteristics":
        condition = next(texts(loop, "loopCondition"), "")[:200]
        build.account.lost(part.id, _looped(condition))
        return
    if _each(build, part, step, named, loop):
        pass
    elif (count := _count(loop)) is not None and _seats(named) == 0:
        step["quorum"] = {"at_least": count}
        build.account.assumed(part.id, sentence("it is done {count} times, each time by somebody else", count=count))
    else:
        what = _collection(loop) or next(texts(loop, "loopCardinality"), "") or "each item"
        build.account.lost(
            part.id,
            sentence(
                "it is asked once, not for each of {what}: they are not people it is assigned to", what=what[:100]
            ),
        )
        return
    if loop.get("isSequential") == "true":
        step["order"] = "sequential"
    build.account.mapped(part.id, "several decide, one after the other" if "order" in step else "several decide")
    _completion(build, part, loop, step)


def _looped(condition: str) -> str:
    if not condition:
        return sentence("its loop is left out: it is asked once, and not again")
    return sentence("its loop is left out: it is asked once, and not again while {condition}", condition=condition)


def _seats(named: NamedApprovers) -> int:
    """Return how many people a task names one by one; 0 where roles or groups leave it open."""
    if any(name.partition(":")[0] in {"role", "group"} for name in named.approvers):
        return 0
    return len(named.approvers) or 1


def _collection(loop: Element) -> str | None:
    found = attribute(loop, "collection")
    for inner in loop.iter():
        found = found or attribute(inner, "inputCollection")
    if found is None:
        found = next(texts(loop, "loopDataInputRef"), None)
    return found


def _item(loop: Element) -> str | None:
    found = attribute(loop, "elementVariable")
    for inner in loop.iter():
        found = found or attribute(inner, "inputElement")
        if tag(inner) == "inputDataItem":
            found = found or inner.get("name") or inner.get("id")
    return found


def _count(loop: Element) -> int | None:
    text = next(texts(loop, "loopCardinality"), "").strip()
    try:
        term = read_term(text)
    except Unclear:
        return None
    if term.op == "number" and str(term.value).isdecimal() and 1 <= int(term.value) <= 200:
        return int(term.value)
    return None


def _each(build: Build, part: Part, step: dict[str, Any], named: NamedApprovers, loop: Element) -> bool:
    """Ask everyone in a collection, where the task is assigned to its item; returns whether it is."""
    collection, item = _collection(loop), _item(loop)
    if collection is None or item is None or item not in named.variables:
        return False
    others = [name for name in named.approvers if name != f"input:{build.scope.name_of(item)}"]
    people = _constants(collection)
    if people is not None:
        named.approvers = [*others, *(f"user:{name}" for name in people)]
    else:
        variable = variable_of(collection if collection[:1] in "#$=" else f"${{{collection}}}")
        if variable is None:
            build.account.lost(
                part.id,
                sentence(
                    "only the other engine knows who is in {collection}; name the approvers",
                    collection=collection[:100],
                ),
            )
            named.approvers = others
            named.variables = [name for name in named.variables if name != item]
            named.assumed = []
            step["quorum"] = "all"
            return True
        name = build.scope.declare(variable, "list")
        build.declared.setdefault(name, {}).update({"min_length": 1, "max_length": 200})
        build.read[name] = None
        named.approvers = [*others, f"inputs:{name}"]
        build.account.assumed(part.id, sentence("the requester names them in the input {name!r}", name=name))
    build.read.pop(build.scope.name_of(item), None)
    named.assumed = [text for text in named.assumed if sentence("the input {item!r}", item=item) not in text]
    step["quorum"] = "all"
    return True


def _constants(collection: str) -> list[str] | None:
    try:
        term = read_term(collection)
    except Unclear:
        return None
    if term.op == "list" and term.args and all(one.op == "text" for one in term.args):
        return [str(one.value) for one in term.args]
    return None


def _completion(build: Build, part: Part, loop: Element, step: dict[str, Any]) -> None:
    text = next(texts(loop, "completionCondition"), None)
    if text is None:
        step.setdefault("quorum", "all")
        build.account.assumed(part.id, "each of them has to approve, and one rejection rejects")
        return
    try:
        quorum = _quorum(_counting(read_term(text)))
    except (Unclear, ValueError, ZeroDivisionError):
        quorum = None
    if quorum is None:
        build.account.lost(
            part.id, sentence("its completion condition {text} is not taken over: each has to approve", text=text[:200])
        )
        step.setdefault("quorum", "all")
        return
    step["quorum"] = quorum
    build.account.assumed(part.id, sentence("it is approved by {told}, and one rejection rejects", told=_told(quorum)))


def _told(quorum: str | dict[str, Any]) -> str:
    if isinstance(quorum, str):
        return {"all": sentence("all"), "any": sentence("any one")}[quorum]
    ((kind, value),) = quorum.items()
    return (
        sentence("at least {count}", count=value) if kind == "at_least" else sentence("{share:g} per cent", share=value)
    )


def _counting(term: Term) -> Term:
    """Leave out what ends it early because somebody has rejected: here a rejection always does."""
    if term.op != "or":
        return term
    counted = [arg for arg in term.args if any(path.value in _DONE | _LEFT for path in paths(arg))]
    others = [arg for arg in term.args if arg not in counted]
    if len(counted) != 1 or not all(_rejects(arg) for arg in others):
        raise Unclear("it ends early for another reason")
    return _counting(counted[0])


def _rejects(term: Term) -> bool:
    if term.op == "not":
        return all(says(str(path.value)) == "approved" for path in paths(term))
    named = [says(str(path.value)) for path in paths(term)]
    values = [says(str(arg.value)) for arg in term.args if arg.op == "text"]
    if term.op == "eq" and any(arg == Term("bool", value=False) for arg in term.args):
        return bool(named) and all(one == "approved" for one in named)
    return "rejected" in values or (bool(named) and all(one == "rejected" for one in named))


def _quorum(term: Term) -> str | dict[str, Any] | None:
    """Return the quorum that a comparison of counts is; None where it is another."""
    if term.op not in {"eq", "ge", "gt", "le", "lt"}:
        return None
    left, right = term.args
    op = term.op
    if _linear(left) is None or _linear(right) is None:
        return _shared(term)
    if op in {"le", "lt"}:
        left, right, op = right, left, _TURN[op]
    done, every, rest = (a - b for a, b in zip(_linear(left) or (), _linear(right) or (), strict=True))
    # What is left is a sum of counts that has to reach 0.
    if op == "eq" and done < 0:
        done, every, rest = -done, -every, -rest
    if done <= 0:
        return None
    needed, share = -rest / done, -every / done
    sign = _SIGN[op]
    if share == 0:
        count = math.floor(needed) + 1 if sign == "gt" else math.ceil(needed)
        return {"at_least": count} if 1 <= count <= 200 else None
    if needed != 0 or not 0 < share <= 1:
        return None
    return _percent(share, sign)


def _shared(term: Term) -> str | dict[str, Any] | None:
    """Return the quorum of `completed / all >= 0.6`."""
    left, right = term.args
    op = term.op
    if right.op == "div":
        left, right, op = right, left, _TURN[op]
    value = _linear(right)
    if left.op != "div" or value is None or value[:2] != _NONE or op not in _SIGN:
        return None
    above, below = (_linear(arg) for arg in left.args)
    if above is None or below is None or above[1:] != _NONE or (below[0], below[2]) != _NONE:
        return None
    return _percent(value[2] * below[1] / above[0], _SIGN[op])


def _percent(share: Fraction, sign: str) -> str | dict[str, Any] | None:
    if share == 1 and sign == "ge":
        return "all"
    if not 0 < share < 1:
        return None
    return {"percent": float(share * 100 + (_STRICTLY if sign == "gt" else 0))}


def _linear(term: Term) -> tuple[Fraction, Fraction, Fraction] | None:
    """Return how often the completed, and all of them, count in a sum, and what is added; None where it is none."""
    zero = Fraction(0)
    if term.op == "number":
        return zero, zero, Fraction(str(term.value))
    if term.op == "name":
        name = str(term.value)
        if name in _DONE or ("approv" in name.lower() and {"count", "number", "approvals"} & set(words(name))):
            return Fraction(1), zero, zero
        if name in _LEFT:
            return Fraction(-1), Fraction(1), zero
        return (zero, Fraction(1), zero) if name in _ALL else None
    parts = [_linear(arg) for arg in term.args]
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        return None
    one, other = parts[0], parts[1]
    if term.op in {"add", "sub"}:
        sign = 1 if term.op == "add" else -1
        return (one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2])
    if term.op == "mul" and one[:2] == _NONE:
        return (other[0] * one[2], other[1] * one[2], other[2] * one[2])
    if term.op == "mul" and other[:2] == _NONE:
        return (one[0] * other[2], one[1] * other[2], one[2] * other[2])
    if term.op == "div" and other[:2] == _NONE and other[2] != 0:
        return (one[0] / other[2], one[1] / other[2], one[2] / other[2])
    return None
