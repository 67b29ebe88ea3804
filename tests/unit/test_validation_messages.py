"""What is wrong with the shape of a document is told by a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from placet.definition.model import parse_definition
from placet.definition.validation_messages import sentence_of
from placet.errors import BlueprintInvalid
from tests.unit.core import Case, graph, office, plan_of

CHAIN: dict[str, Any] = {"name": "Chain", "version": "1.0.0", "process_steps": [{"stage_name": "A"}]}
TRIGGER = {"id": "start", "type": "trigger"}


def stage(**more: Any) -> dict[str, Any]:
    return {"process_steps": [{"stage_name": "A", **more}]}


def drawn(*nodes: Any) -> dict[str, Any]:
    return {"graph_spec": {"nodes": list(nodes), "edges": []}}


@pytest.mark.parametrize(
    ("changes", "pointer", "sentence"),
    [
        ({"colour": 1}, "/colour", "there is no such field here; correct its name, or remove it"),
        ({"version": ...}, "/version", "this is required; add it"),
        ({"name": 7}, "/name", "text is needed here; write it in quotes"),
        ({"name": "x" * 1001}, "/name", "write at most 200 characters"),
        ({"settings": []}, "/settings", "an object is needed here; write one"),
        ({"variables": {}}, "/variables", "a list is needed here; write one"),
        (stage(claim="maybe"), "/process_steps/0/claim", "write true or false"),
        (stage(order="random"), "/process_steps/0/order", "write 'parallel' or 'sequential'"),
        ({"settings": {"max_rounds": 0}}, "/settings/max_rounds", "write a number of at least 1"),
        (drawn(), "/graph_spec/nodes", "list at least 1, and not 0"),
        (drawn(TRIGGER, {"id": "a"}), "/graph_spec/nodes/1", "say which it is by 'type'"),
        # a pattern is told in words
        (
            drawn(TRIGGER, {"id": "a", "type": "terminator", "outcome": "Fast fertig"}),
            "/graph_spec/nodes/1/outcome",
            "write small letters a to z, digits and underscores, beginning with a letter, such as approved",
        ),
        (
            {"variables": [{"name": "unit price", "type": "string"}]},
            "/variables/0/name",
            (
                "write a name of letters A to Z, digits and underscores, that begins with no digit, of at most 64 "
                "characters, such as unit_price"
            ),
        ),
        (
            drawn(TRIGGER, {"id": "a\u202eb", "type": "fork"}),
            "/graph_spec/nodes/1/id",
            "U+202E cannot be seen, so it can be no part of an id; leave it out",
        ),
        (
            drawn(TRIGGER, {"id": " a", "type": "fork"}),
            "/graph_spec/nodes/1/id",
            "an id neither begins nor ends with a space; remove it",
        ),
        # our own sentences stay as they are
        ({"version": "one"}, "/version", "'one' is not a semantic version; write for example \"1.0.0\""),
    ],
)
def test_each_fault_says_what_to_do(changes: dict[str, Any], pointer: str, sentence: str) -> None:
    raw = {key: value for key, value in {**CHAIN, **changes}.items() if value is not ...}
    with pytest.raises(BlueprintInvalid) as refused:
        parse_definition(raw)
    assert [(p.pointer, p.message) for p in refused.value.problems] == [(pointer, sentence)]


def test_an_unknown_kind_of_node_is_told_the_kinds_that_there_are() -> None:
    with pytest.raises(BlueprintInvalid, match=r"'gateway' is none of .*'approval'.*; write one of them"):
        parse_definition({**CHAIN, **drawn(TRIGGER, {"id": "g", "type": "gateway"})})


def test_what_is_no_object_is_no_blueprint() -> None:
    with pytest.raises(BlueprintInvalid, match="an object is needed here; write one"):
        parse_definition([])


@pytest.mark.parametrize("name", ["prüfung", "審査", "Prüfung durch die Leitung (2)", "می‌خواهم", "a/b~c", "😀"])
def test_a_node_may_be_called_anything_that_can_be_seen(name: str) -> None:
    look = {"type": "action", "action": "look", "input": {}, "output": {}}
    raw = {**CHAIN, "process_steps": [], "graph_spec": graph(nodes={name: look}, ends=("approved",))}
    raw["graph_spec"]["edges"] = [{"from": "start", "to": name}, {"from": name, "to": "approved"}]
    case = Case(plan_of(raw), office(), twice=True)
    [call] = case.state.actions
    assert call.key.isascii()
    assert " " not in call.key
    case.done(name)
    assert case.state.outcome == "approved"


def test_a_pattern_that_nobody_has_words_for_is_not_shown() -> None:
    fault = {"type": "string_pattern_mismatch", "ctx": {"pattern": "^x+$"}, "msg": "String should match"}
    assert sentence_of(fault) == "this text is not of the form that is needed here"
