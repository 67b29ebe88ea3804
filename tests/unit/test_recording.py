"""What is written of a request is one value, with one JSON, which the worker that made it reads: no history has it."""

from __future__ import annotations

import inspect
import json
from typing import get_type_hints

from activities.audit import Recorder
from placet.engine import recording
from placet.engine.recording import Recording
from storage.recording import metrics, recipients, record
from tests.integration.recordings import Story
from worker.converter import DATA_CONVERTER

NAMES = [
    "request_id",
    "template_id",
    "template",
    "version",
    "owner",
    "title",
    "requester",
    "input",
    "status",
    "outcome",
    "stage",
    "round",
    "returned",
    "started_at",
    "ended_at",
    "seq",
    "head",
    "tasks",
    "entries",
    "notices",
    "sealed",
    "revision",
    "content_digest",
    "opened",
    "changed",
    "questions",
    "open_questions",
    "action",
    "started_by",
    "claim",
    "principal",
    "task_began",
    "in_history",
]


def test_its_json_has_the_names_and_the_order_that_it_always_had() -> None:
    made = Story(request_id="r1").open("bob").remind().decide().recording()
    (payload,) = DATA_CONVERTER.payload_converter.to_payloads([made])
    assert list(json.loads(payload.data)) == NAMES


def test_it_comes_back_as_it_went() -> None:
    made = Story(request_id="r1").open("bob").remind().decide().recording(opened=1, changed=("r1:1",))
    converter = DATA_CONVERTER.payload_converter
    payloads = converter.to_payloads([made])
    (back,) = converter.from_payloads(payloads, [Recording])
    assert back == made
    assert converter.to_payloads([back])[0].data == payloads[0].data


def test_workflow_activity_and_store_speak_of_the_same_value() -> None:
    assert get_type_hints(recording.recording_of)["return"] is Recording
    assert get_type_hints(Recorder.record)["recording"] is Recording
    for room in (record, metrics, recipients):
        told = [name for name, of in vars(room).items() if inspect.isclass(of) and getattr(of, "_is_protocol", False)]
        assert told == []
