"""Payloads keep their names: what was recorded is read, and written again as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter

from activities.messages import ActionRun, DirectoryResult, SubprocessOutcome, SubprocessResultVerdict, TokenVerdict
from cli.commands.histories import read
from placet.frozen import evolve, quick, stored_as
from tests.histories import FOLDER
from worker.converter import DATA_CONVERTER
from workflows.approval import ApprovalWorkflow
from workflows.interface import Answer, Start

CONVERTER = DATA_CONVERTER.payload_converter
SDKS = PydanticPayloadConverter()
DEFINITION = workflow._Definition.must_from_class(ApprovalWorkflow)
LOCAL = {
    "look_up": DirectoryResult,
    "verify_token": TokenVerdict,
    "child_result": SubprocessOutcome,
    "sign_ending": str,
    "stored_seq": int,
    "verify_ending": SubprocessResultVerdict,
    "moment": datetime | None,
    "due_moment": datetime,
    "record": bool | None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    id: str
    edges: Annotated[tuple[int, ...], stored_as("ways")] = ()


@quick
@dataclass(frozen=True, kw_only=True)
class House:
    nodes: Annotated[dict[str, Door], stored_as("points")]
    built: datetime
    notes: dict[str, Any] = field(default_factory=dict)
    pause: Annotated[timedelta | None, stored_as("rest")] = None


HOUSE = House(
    nodes={"a": Door(id="a", edges=(1, 2))}, built=datetime(2026, 3, 2, tzinfo=UTC), notes={"n": [1, {"x": None}]}
)
STORED = {
    "points": {"a": {"id": "a", "ways": [1, 2]}},
    "built": "2026-03-02T00:00:00Z",
    "notes": {"n": [1, {"x": None}]},
    "rest": None,
}


def written(value: Any) -> bytes:
    return CONVERTER.to_payload(value).data


def as_read(data: bytes | str, kind: Any) -> Any:
    raw = data.encode() if isinstance(data, str) else data
    return CONVERTER.from_payload(Payload(metadata={"encoding": b"json/plain"}, data=raw), kind)


def recorded(file: Path) -> Iterator[tuple[Any, Payload]]:
    """Generate what a history holds of ours, with the type that it is read as; signals are read by `read_signal`."""
    for event in read(file).events:
        started = event.workflow_execution_started_event_attributes
        yield from ((Start, payload) for payload in started.input.payloads)
        marker = event.marker_recorded_event_attributes
        if marker.marker_name == "core_local_activity":
            [about] = marker.details["data"].payloads
            kind = LOCAL[json.loads(about.data)["activity_type"]]
            yield from ((kind, payload) for payload in marker.details["result"].payloads)
        accepted = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        if accepted.name:
            [kind] = DEFINITION.updates[accepted.name].arg_types or []
            yield from ((kind, payload) for payload in accepted.args.payloads)
        yield from ((ActionRun, payload) for payload in event.activity_task_scheduled_event_attributes.input.payloads)
        child = event.start_child_workflow_execution_initiated_event_attributes
        yield from ((Start, payload) for payload in child.input.payloads)
        answered = event.workflow_execution_update_completed_event_attributes.outcome.success.payloads
        ended = event.workflow_execution_completed_event_attributes.result.payloads
        yield from ((Answer, payload) for payload in (*answered, *ended))


def holds(now: Any, before: Any) -> bool:
    """Say whether everything that there was is there, under its name; there may be more."""
    if isinstance(before, dict):
        return isinstance(now, dict) and all(name in now and holds(now[name], before[name]) for name in before)
    if isinstance(before, list):
        return isinstance(now, list) and len(now) == len(before) and all(map(holds, now, before))
    return bool(now == before)


def test_a_field_is_written_and_read_by_the_name_that_it_is_stored_as() -> None:
    assert json.loads(written(HOUSE)) == STORED
    assert as_read(written(HOUSE), House) == HOUSE
    assert json.loads(written(evolve(HOUSE, nodes={}, pause=timedelta(hours=1)))) == STORED | {
        "points": {},
        "rest": "PT1H",
    }


def test_the_name_in_the_code_is_none_in_a_payload() -> None:
    with pytest.raises(ValidationError, match="points"):
        as_read(json.dumps(STORED | {"points": None, "nodes": STORED["points"]}), House)


def test_dataclasses_in_a_list_have_the_names_that_they_are_stored_as() -> None:
    assert json.loads(written([HOUSE, None, 1])) == [STORED, None, 1]
    assert as_read(written((HOUSE,)), list[House]) == [HOUSE]


@pytest.mark.parametrize("value", [None, "a", 1.5, {"a": [1, {"b": None}]}, [], datetime(2026, 3, 2, tzinfo=UTC)])
def test_everything_else_is_written_as_the_sdk_does(value: Any) -> None:
    assert CONVERTER.to_payload(value) == SDKS.to_payload(value)


def test_dataclass_under_any_is_written() -> None:
    assert json.loads(written(evolve(HOUSE, notes={"x": Answer(seq=1, head="h", status="pending", outcome=None)})))[
        "notes"
    ] == {"x": {"seq": 1, "head": "h", "status": "pending", "outcome": None}}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/*.json")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_was_recorded_is_written_again_under_the_same_names(file: Path) -> None:
    found = [(kind, payload) for kind, payload in recorded(file) if payload.metadata["encoding"] == b"json/plain"]
    assert {kind for kind, _ in found} >= {Start, Answer}
    for kind, payload in found:
        again = written(CONVERTER.from_payload(payload, kind))
        assert holds(json.loads(again), json.loads(payload.data)), (kind, again)
        assert written(as_read(again, kind)) == again
