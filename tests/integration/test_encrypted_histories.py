"""What the engine keeps of a request: with keys nothing in clear, and without them nothing personal in lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from cli.commands.histories import read
from placet.engine.events import Comment, Decide
from storage.database import Database
from storage.recording.verify import verify_rows
from tests.approvals import EXPENSE, Desk, by, desk, store_people
from tests.engine import SharedEngine
from tests.histories import FOLDER, VERSION
from tests.replays import replayer
from tests.stored import reading
from worker.connect import connect
from worker.converter import converter_with
from worker.key_ring import KeyRing, add_key
from worker.payload_codec import EncryptingCodec
from workflows.approval import ApprovalWorkflow

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONTENT = "Zanzibar"
BLUEPRINT: dict[str, Any] = {**EXPENSE, "variables": [*EXPENSE["variables"], {"name": "place", "type": "string"}]}
# What the engine writes itself, or reads: no codec comes to it.
_OUTSIDE = {"search_attributes", "header"}


def payloads_of(message: Message, *, marker: bool = False) -> Iterator[Payload]:
    """Yield the payloads below a message that a codec writes."""
    for field, value in message.ListFields():
        if field.message_type is None or field.name in _OUTSIDE:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                continue
            # Of a marker only the result is ours; the rest is the SDK's own note.
            parts = [value["result"]] if marker and "result" in value else [] if marker else list(value.values())
        else:
            parts = list(value) if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, Payload):
                yield part
            else:
                yield from payloads_of(part, marker=field.name == "marker_recorded_event_attributes")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    file = tmp_path_factory.mktemp("keys") / "payload.keys"
    add_key(file, NOW)
    return KeyRing(file)


async def decided(office: Desk) -> tuple[str, str]:
    """Have a request with content in every place decided; return its id and the head that the engine tells."""
    handle = await office.start(BLUEPRINT, given={"amount": "100", "place": CONTENT}, title=f"Trip to {CONTENT}")
    await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text=f"{CONTENT}!"))
    decision = Decide(by=by("bob"), task_id=f"{handle.id}.1", decision="approve", comment=f"to {CONTENT}")
    return handle.id, (await handle.execute_update(ApprovalWorkflow.decide, decision)).head


async def test_with_keys_the_history_of_a_request_holds_nothing_that_people_wrote(
    client: Client, engine: SharedEngine, database: Database, ring: KeyRing
) -> None:
    await store_people(database)
    keyed = await connect(replace(engine.settings, payload_keys=ring))
    async with desk(keyed, database) as office:
        request_id, head = await decided(office)
    history = await client.get_workflow_handle(request_id).fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    described = (await client.get_workflow_handle(request_id).describe()).raw_description.SerializeToString()
    for clear in (CONTENT, "amount", "example.com"):
        assert clear.encode() not in stored + described, clear
    with reading(database) as session:
        verdict = verify_rows(session.connection(), request_id)
    assert (verdict["ok"], verdict["head"]) == (True, head)
    converter = converter_with(EncryptingCodec(ring))
    assert (await replayer(converter).replay_workflow(history)).replay_failure is None


async def test_without_keys_nothing_that_lists_show_holds_what_people_wrote(client: Client, database: Database) -> None:
    await store_people(database)
    async with desk(client, database) as office:
        request_id, _ = await decided(office)
    handle = client.get_workflow_handle(request_id)
    history = await handle.fetch_history()
    assert any(CONTENT.encode() in event.SerializeToString() for event in history.events)  # this is what is looked for
    shown: list[bytes] = []
    for event in history.events:
        shown.append(event.user_metadata.SerializeToString())
        attributes = getattr(event, event.WhichOneof("attributes") or "")
        for name in ("search_attributes", "timer_id", "memo", "activity_id", "workflow_id"):
            if name in attributes.DESCRIPTOR.fields_by_name:
                part = getattr(attributes, name)
                shown.append(part.encode() if isinstance(part, str) else part.SerializeToString())
    described = (await handle.describe()).raw_description
    shown.append(described.workflow_execution_info.SerializeToString())
    shown.append(described.execution_config.user_metadata.SerializeToString())
    everything = b"\n".join(shown)
    assert b"deadline of" in everything or b"reminder of" in everything  # the summary of a timer is among it
    for personal in (CONTENT, "example.com", "Bob", "Ann"):
        assert personal.encode() not in everything, personal


@pytest.mark.parametrize("name", ["one-step", "fork"])
async def test_a_history_under_two_keys_and_none_replays(tmp_path: Path, name: str) -> None:
    file = tmp_path / "payload.keys"
    add_key(file, NOW)
    first = EncryptingCodec(KeyRing(file))
    add_key(file, NOW)
    second = EncryptingCodec(KeyRing(file))
    history = read(FOLDER / VERSION / f"{name}.json")
    turns, written = cycle((first, None, second)), 0
    for event in history.events:
        for payload, codec in zip(payloads_of(event), turns, strict=False):
            if codec is not None:
                payload.CopyFrom((await codec.encode([payload]))[0])
                written += 1
    assert written > 3
    known = replayer(converter_with(second))
    assert (await known.replay_workflow(history, raise_on_replay_failure=False)).replay_failure is None
    unread = replayer()
    assert (await unread.replay_workflow(history, raise_on_replay_failure=False)).replay_failure is not None
