"""Bodies of calls: the ways in which people write them, and the places of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas.common import Body
from api.schemas.people import PersonBody
from api.schemas.requests import NewComment, NewDeadline, ReasonBody
from api.schemas.tasks import BulkDecision, BulkItem, HandOver, NewDelegate

NIGHT, LATER = "2026-08-03T00:00:00Z", "2026-08-17T00:00:00Z"


@pytest.mark.parametrize(
    ("away", "spans"),
    [
        (None, []),
        ({}, []),
        ({"from": None, "until": None, "substitute": None}, []),  # the whole shape, for somebody who is here
        ({"from": NIGHT, "until": LATER, "substitute": "user:dora"}, [(NIGHT, LATER, "dora")]),
        ([{"from": NIGHT, "until": LATER}], [(NIGHT, LATER, None)]),
        ({"from": "2026-08-03", "until": "2026-08-16"}, [(NIGHT, LATER, None)]),  # the sixteenth is still away
        ({"from": "2026-08-16", "until": "2026-08-16"}, [("2026-08-16T00:00:00Z", LATER, None)]),
        ({"from": NIGHT, "until": "9999-12-31"}, [(NIGHT, "9999-12-31T23:59:59.999999Z", None)]),
    ],
)
def test_absence_is_a_span_or_several_of_moments_or_days(away: Any, spans: list[tuple[str, str, str | None]]) -> None:
    person = PersonBody.model_validate({"id": "mia", "away": away})
    stored = [(s.stored["from"].replace(".000000", ""), s.stored["until"], s.substitute) for s in person.away]
    assert [(a, b.replace(".000000", ""), c) for a, b, c in stored] == spans


@pytest.mark.parametrize(
    ("away", "places"),
    [
        ({"from": "soon", "until": LATER}, {("away", "from")}),
        ({"from": NIGHT}, {("away", "until")}),
        ({"from": "2026-08-03T00:00:00", "until": "2026-02-30"}, {("away", "from"), ("away", "until")}),
        ({"from": LATER, "until": NIGHT}, {("away",)}),
        ([{"from": NIGHT, "until": LATER}, {"from": 1, "until": LATER}], {("away", 1, "from")}),
        ("tomorrow", {("away",)}),
        ({"from": NIGHT, "until": LATER, "substitute": "a b"}, {("away", "substitute")}),
    ],
)
def test_a_fault_of_an_absence_has_the_place_where_it_was_written(away: Any, places: set[tuple[Any, ...]]) -> None:
    with pytest.raises(ValidationError) as caught:
        PersonBody.model_validate({"id": "mia", "away": away})
    assert {e["loc"] for e in caught.value.errors()} == places


@pytest.mark.parametrize(
    "body",
    [
        {"items": [{"task_id": "a.1", "decision": "approve"}, {"task_id": "a.2", "decision": "approve"}]},
        {"decisions": [{"id": "a.1", "decision": "approve"}, {"task": "a.2", "decision": "approve"}]},
        [{"task_id": "a.1", "decision": "approve"}, {"id": "a.2", "decision": "approve"}],
        {"task_ids": ["a.1", "a.2"], "decision": "approve"},
        {"tasks": ["a.1", "a.2", "a.1"], "decision": "approve"},
        {"ids": ["a.1", "a.2"], "decision": "approve"},
    ],
)
def test_many_tasks_are_named_one_by_one_or_all_alike(body: Any) -> None:
    each = BulkDecision.model_validate(body).each
    assert [(item.task_id, item.decision) for item in each] == [("a.1", "approve"), ("a.2", "approve")]


def test_what_is_decided_alike_may_say_of_each_task_which_revision_was_seen() -> None:
    body = {"task_ids": ["a.1", "a.2"], "decision": "approve", "revisions": {"a.2": 3}}
    many = BulkDecision.model_validate(body)
    assert [(item.task_id, item.revision) for item in many.each] == [("a.1", None), ("a.2", 3)]
    assert many.place("a.2", "/revision", body) == "/revisions/a.2"
    assert many.place("a.2", "/comment", body) == "/comment"


@pytest.mark.parametrize(
    "body",
    [
        {"task_ids": ["a.1"], "decision": "approve", "revisions": {"a.2": 1}},
        {"task_ids": ["a.1"], "decision": "approve", "revisions": {"a.1": 0}},
        {"items": [{"task_id": "a.1", "decision": "approve"}], "revisions": {"a.1": 1}},
    ],
)
def test_a_revision_is_of_a_task_that_is_named(body: Any) -> None:
    with pytest.raises(ValidationError, match="revisions"):
        BulkDecision.model_validate(body)


@pytest.mark.parametrize(
    ("body", "hours"),
    [({"hours": 2}, 2), ({"by_hours": 2}, 2), ({"additional_hours": 0.5, "comment": "a holiday"}, 0.5)],
)
def test_a_deadline_moves_by_hours(body: Any, hours: float) -> None:
    assert NewDeadline.model_validate(body).hours == hours


@pytest.mark.parametrize("body", [{}, {"hours": 1, "until": NIGHT}, {"due_at": NIGHT, "seconds": 5}])
def test_a_deadline_moves_in_one_way_at_a_time(body: Any) -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        NewDeadline.model_validate(body)


def test_a_fault_is_told_at_the_name_that_was_sent() -> None:
    assert HandOver.as_sent("/to", {"assignee": "ghost"}) == "/assignee"
    assert HandOver.as_sent("/to", {"to": "ghost"}) == "/to"
    assert HandOver.as_sent("/reason", {"to": "mia", "comment": "x"}) == "/comment"
    assert NewDeadline.as_sent("/seconds", {"by_hours": 9}) == "/by_hours"
    assert NewDeadline.as_sent("/due_at", {"until": "2026-03-02T09:00:00Z"}) == "/until"
    assert HandOver.as_sent("/input/amount", {"to": "mia"}) == "/input/amount"


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (
            {"items": [{"task_id": "a", "decision": "approve"}, {"task_id": "b", "decision": "reject"}]},
            "/items/1/comment",
        ),
        (
            {"decisions": [{"id": "a", "decision": "approve"}, {"id": "b", "decision": "reject"}]},
            "/decisions/1/comment",
        ),
        ([{"task": "b", "decision": "reject"}], "/0/comment"),
        ({"ids": ["a", "b"], "decision": "reject"}, "/comment"),
    ],
)
def test_a_fault_of_one_of_several_decisions_is_told_at_its_place(raw: Any, place: str) -> None:
    assert BulkDecision.model_validate(raw).place("b", "/comment", raw) == place


@pytest.mark.parametrize("kind", [HandOver, NewDelegate, NewComment, ReasonBody, NewDeadline, BulkItem, BulkDecision])
def test_every_name_that_is_taken_is_in_the_schema(kind: type[Body]) -> None:
    schema = kind.model_json_schema()
    schema = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    taken = {name for names in kind.names().values() for name in names}
    assert taken <= schema["properties"].keys()
    for first, *others in kind.names().values():
        assert not others or first not in schema.get("required", ()), "whichever of the names is sent is enough"


def test_the_schema_takes_what_the_body_takes_and_nothing_else() -> None:
    assert HandOver.model_json_schema()["allOf"] == [{"oneOf": [{"required": ["to"]}, {"required": ["assignee"]}]}]
    assert HandOver.model_json_schema()["additionalProperties"] is False
