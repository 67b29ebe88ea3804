"""What a request begins with: an input that leaves out what its way needs is refused before it begins."""

from __future__ import annotations

from typing import Any

import pytest

from placet.engine.events import Actor, Happened
from placet.engine.input import accept_input
from placet.errors import InputInvalid
from placet.proofs import check
from tests.unit.core import Case, blueprint, graph, office, plan_of, spec

VARIABLES = [
    {"name": "amount", "type": "decimal", "required": True},
    {"name": "note", "type": "string", "required": False},
    {"name": "risk", "type": "integer", "required": False},
    {"name": "day", "type": "date", "required": False},
    {"name": "rate", "type": "decimal", "default": "1"},
]
LOOK = {"type": "action", "action": "look", "output": {"risk": "risk"}}
CHILD = blueprint({"approvers": ["user:mo"]}, variables=[{"name": "sum", "type": "integer", "default": 1}])


def process(*edges: str, steps: tuple[dict[str, Any], ...] = (), **nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a blueprint; of an edge, what follows `if` is its condition, and `else` makes it the default."""
    spec = graph(*(edge.split(" if ")[0].removesuffix(" else") for edge in edges), nodes=nodes)
    for drawn, edge in zip(spec["edges"], edges, strict=True):
        if " if " in edge:
            drawn["condition"] = edge.split(" if ")[1]
        elif edge.endswith(" else"):
            drawn["default"] = True
    return blueprint(*steps, variables=VARIABLES, graph_spec=spec)


def deciding(*edges: str, **more: Any) -> dict[str, Any]:
    return process(*edges, **{"d": {"type": "decision"}, **more})


PLAIN = deciding("start -> d", 'd -> approved if note == "x"', "d -> rejected else")
GUARDED = deciding("start -> d", 'd -> approved if note != null && note == "x"', "d -> rejected else")
ONLY_LARGE = deciding(
    "start -> d",
    "d -> e if amount > 100",
    "d -> approved else",
    'e -> approved if note == "x"',
    "e -> rejected else",
    e={"type": "decision"},
)
SET_BEFORE = deciding("start -> look", "look -> d", "d -> approved if risk > 5", "d -> rejected else", look=LOOK)
SET_BEHIND = deciding("start -> d", "d -> look if risk > 5", "d -> rejected else", "look -> approved", look=LOOK)
SET_SOMETIMES = deciding(
    "start -> look", "look -> d", "look -> d on failed", "d -> approved if risk > 5", "d -> rejected else", look=LOOK
)
BEHIND_WHAT_IS_SET = deciding(
    "start -> look",
    "look -> d",
    "d -> e if risk > 5",
    "d -> approved else",
    'e -> approved if note == "x"',
    "e -> rejected else",
    look=LOOK,
    e={"type": "decision"},
)
EVENT = deciding(
    "start -> w",
    "w -> d",
    "d -> approved if risk > 5",
    "d -> rejected else",
    w={"type": "wait", "event": "rated", "output": {"risk": "risk"}},
)
INNER = deciding(
    "start -> sub",
    "sub -> d",
    "d -> approved if risk > 5",
    "d -> rejected else",
    sub={"type": "subprocess", "template": "Child", "output": {"risk": "sum"}},
)
BESIDE = deciding(
    "start -> f",
    "f -> look",
    "f -> a",
    "look -> j",
    "a -> d",
    "d -> j if risk > 5",
    "d -> rejected else",
    "j -> approved",
    steps=({"approvers": ["user:mo"]},),
    f={"type": "fork"},
    look=LOOK,
    a={"step": "Stage 1"},
    j={"type": "join"},
)
REJECTED = deciding(
    "start -> a",
    "a -> approved",
    "a -> d on rejected",
    'd -> approved if note == "x"',
    "d -> rejected else",
    steps=({"approvers": ["user:mo"]},),
    a={"step": "Stage 1"},
)
UNTIL = process("start -> w", "w -> approved", w={"type": "wait", "until": "day"})
BOTH = deciding(
    "start -> a",
    "a -> d",
    "a -> w on rejected",
    'd -> approved if note == "x"',
    "d -> rejected else",
    "w -> rejected",
    steps=({"approvers": ["user:mo"]},),
    a={"step": "Stage 1"},
    w={"type": "wait", "until": "day"},
)
DIVIDES = deciding("start -> d", "d -> approved if 1 / (amount - amount) > risk", "d -> rejected else")


def table(policy: str) -> dict[str, Any]:
    rules = [{"when": ["> 100", None], "to": "approved"}, {"when": ["<= 100", "> 5"], "to": "rejected"}]
    spec = {"hit_policy": policy, "inputs": ["amount", "risk"], "rules": rules, "default": "rejected"}
    return process("start -> d", d={"type": "decision", "table": spec})


@pytest.mark.parametrize(
    ("raw", "given", "missing"),
    [
        (PLAIN, {}, ["note"]),
        (PLAIN, {"note": None}, ["note"]),
        (PLAIN, {"note": "y"}, []),
        (GUARDED, {}, []),
        # only an input that comes there needs it
        (ONLY_LARGE, {"amount": 100}, []),
        (ONLY_LARGE, {"amount": 101}, ["note"]),
        # what the process sets before is not for the requester to give
        (SET_BEFORE, {}, []),
        (SET_SOMETIMES, {}, []),
        (EVENT, {}, []),
        (INNER, {}, []),
        (BESIDE, {}, []),
        (SET_BEHIND, {}, ["risk"]),
        # nobody knows what will be set, so that both ways count
        (BEHIND_WHAT_IS_SET, {}, ["note"]),
        (BEHIND_WHAT_IS_SET, {"note": "x"}, []),
        # whatever people decide
        (REJECTED, {}, ["note"]),
        (UNTIL, {}, ["day"]),
        (UNTIL, {"day": "2026-03-09"}, []),
        # everything at once
        (BOTH, {}, ["note", "day"]),
        (BOTH, {"note": "x"}, ["day"]),
        # the first rule that fits is taken, unless all are looked at; a short circuit looks no further
        (table("first"), {"amount": 101}, []),
        (table("first"), {"amount": 100}, ["risk"]),
        (table("unique"), {"amount": 101}, []),
        (table("unique"), {"amount": 100}, ["risk"]),
        # what fails for another reason is no matter of a missing value
        (DIVIDES, {}, []),
    ],
)
def test_what_a_way_needs_has_to_be_given(raw: dict[str, Any], given: dict[str, Any], missing: list[str]) -> None:
    plan = plan_of(raw, {"Child": CHILD})
    given = {"amount": 7, **given}
    if not missing:
        assert accept_input(plan, given)["rate"] == "1"
        return
    with pytest.raises(InputInvalid) as refused:
        accept_input(plan, given)
    assert {problem.pointer for problem in refused.value.problems} == {f"/input/{name}" for name in missing}


def test_the_sentence_names_who_needs_it() -> None:
    with pytest.raises(InputInvalid) as refused:
        accept_input(plan_of(PLAIN), {"amount": 7})
    assert refused.value.message == (
        "/input/note: 'note' is needed by the decision 'd', to which this leads; give a value"
    )


def test_what_breaks_its_declaration_is_told_first() -> None:
    with pytest.raises(InputInvalid) as refused:
        accept_input(plan_of(PLAIN), {"amount": "seven", "colour": "red"})
    assert {problem.pointer for problem in refused.value.problems} == {"/input/amount", "/input/colour"}


def told(*edges: str, **more: Any) -> Case:
    """Return a request that waits for `rated`, which sets `risk` and `note`."""
    wait = {"type": "wait", "event": "rated", "output": {"risk": "risk", "note": "/why/text"}}
    return Case(plan_of(deciding(*edges, **{"w": wait, **more})), office(), input={"amount": 5})


def rated(**payload: Any) -> Happened:
    return Happened(by=Actor(person="olivia", admin=True), name="rated", payload=payload)


WAITS = ("start -> w", "w -> d", "d -> approved if risk > 5", "d -> rejected else")


def test_an_event_that_leaves_out_what_a_later_decision_needs_is_refused() -> None:
    case = told(*WAITS)
    with pytest.raises(InputInvalid) as refused:
        case.do(rated(why={"text": "late"}))
    assert [problem.pointer for problem in refused.value.problems] == ["/payload/risk"]
    assert "'d'" in refused.value.problems[0].message
    case.do(rated(risk=6))
    assert case.state.outcome == "approved"


def test_an_event_may_leave_out_what_its_own_values_do_not_lead_to() -> None:
    edges = ("start -> w", "w -> d", "d -> e if risk > 5", "d -> rejected else")
    behind = ('e -> approved if note == "x"', "e -> rejected else")
    case = told(*edges, *behind, e={"type": "decision"})
    with pytest.raises(InputInvalid) as refused:
        case.do(rated(risk=6))
    assert [problem.pointer for problem in refused.value.problems] == ["/payload/why/text"]
    case.do(rated(risk=5))
    assert case.state.outcome == "rejected"


def test_an_event_may_leave_out_what_is_set_behind_it() -> None:
    case = told("start -> w", "w -> look", "look -> d", "d -> approved if risk > 5", "d -> rejected else", look=LOOK)
    case.do(rated())
    assert case.state.actions


def test_what_a_computed_value_needs_has_to_be_given_too() -> None:
    look = {**LOOK, "input": {"n": {"expr": "risk * 2"}}}
    edges = ("start -> look", "look -> approved")
    with pytest.raises(InputInvalid) as refused:
        accept_input(plan_of(process(*edges, look=look)), {"amount": 5})
    assert [problem.pointer for problem in refused.value.problems] == ["/input/risk"]
    handled = plan_of(process(*edges, "look -> rejected on failed", look=look))
    assert accept_input(handled, {"amount": 5})["amount"] == "5"


def test_a_request_of_format_1_takes_whatever_it_is_told() -> None:
    raw = {**EVENT, "format": 1}
    case = Case(plan_of(raw), office(), input={"amount": 5})
    case.do(rated())
    assert case.state.status == "failed"


OPEN = {"type": "object", "properties": {"risk": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "warned"),
    [({}, True), (OPEN, True), ({**OPEN, "required": ["risk"]}, False)],
    ids=["nothing is said", "optional", "required"],
)
def test_an_action_that_may_leave_out_what_a_decision_needs_is_warned_of(schema: dict[str, Any], warned: bool) -> None:
    found = check(SET_BEFORE, actions={"look": spec("look", output_schema=schema)}).findings
    assert ("unset_variable" in {finding.code for finding in found}) is warned
    assert "unset_variable" not in {finding.code for finding in check(EVENT).findings}
