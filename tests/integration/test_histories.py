"""Requests that began under an earlier version go on under this one: their recorded histories replay."""

from __future__ import annotations

import json
import platform
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import WorkflowReplayResult
from temporalio.workflow import NondeterminismError

from activities.messages import ChannelTurnEnd, DirectoryQuery
from cli.commands.histories import read, write
from placet.audit import reasons
from placet.audit.chain import Entry
from placet.engine.state import Transition
from placet.errors import Conflict, InputInvalid
from tests.histories import FOLDER, VERSION, chain_of, channels, line_of
from tests.histories.scenarios import SCENARIOS
from tests.replays import replayer
from workflows import signals
from workflows.approval import ApprovalWorkflow
from workflows.local_activities import LOCAL_TIMEOUT
from workflows.notifications import NotificationChannel, NotificationWorkflow
from workflows.registration import NOTIFICATION_WORKFLOWS

FILES = sorted(FOLDER.glob("*/*.json"))
record = ApprovalWorkflow._record
take = ApprovalWorkflow._take


# Recorded before times were taken from history alone: the heads that they tell hold times that no replay knows.
OTHER_TIMES = {"escalation", "fork", "hands", "one-step", "rejected", "withdrawn"}


def recorded_head(history: WorkflowHistory) -> str:
    """Return the head that the request's last run came to."""
    answer = history.events[-1].workflow_execution_completed_event_attributes.result.payloads[0]
    return str(json.loads(answer.data)["head"])


async def replay(file: Path) -> WorkflowReplayResult:
    return await replayer().replay_workflow(read(file), raise_on_replay_failure=False)


def test_every_course_of_events_is_recorded_for_this_version() -> None:
    assert {file.stem for file in FILES if file.parent.name == VERSION} == set(SCENARIOS)


async def replayed(monkeypatch: pytest.MonkeyPatch, file: Path) -> list[str]:
    """Replay a history, and return the chain that comes of it, line by line."""
    entries: list[Entry] = []

    def note(self: ApprovalWorkflow, step: Transition) -> None:
        entries.extend(step.entries)
        take(self, step)

    monkeypatch.setattr(ApprovalWorkflow, "_take", note)
    assert (await replay(file)).replay_failure is None
    return [line_of(entry) for entry in entries]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_history_of_every_version_replays_to_the_entries_that_it_had(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert await replayed(monkeypatch, file) == chain_of(file).read_text().splitlines()


@pytest.mark.parametrize("file", [f for f in FILES if f.parent.name == VERSION], ids=lambda file: file.stem)
async def test_no_other_wording_of_ours_or_of_a_library_changes_an_entry(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    def worded(message: str | None = None, **more: Any) -> InputInvalid:
        return InputInvalid("as a later version of the library has it", **more)

    monkeypatch.setattr(reasons, "WORDS", dict.fromkeys(reasons.WORDS, "in other words"))
    monkeypatch.setattr(signals, "InputInvalid", worded)
    assert await replayed(monkeypatch, file) == chain_of(file).read_text().splitlines()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_chain_that_is_kept_with_a_history_ends_with_the_head_that_the_history_tells(file: Path) -> None:
    last = chain_of(file).read_text().splitlines()[-1].split()[-1]
    told = recorded_head(read(file))
    assert (last == told) is not (file.parent.name == "0.1.0" and file.stem in OTHER_TIMES)


def test_first_task_of_one_history_was_split() -> None:
    """Of what was recorded of `split`; where this fails, record it again, for the engine was quick."""
    kinds = [event.event_type for event in read(FOLDER / VERSION / "split.json").events]
    before_the_first_record = kinds[: kinds.index(EventType.EVENT_TYPE_MARKER_RECORDED)]
    assert before_the_first_record.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) > 1


async def _waits_first(self: ApprovalWorkflow) -> None:
    await workflow.sleep(timedelta(seconds=1))
    await record(self)


async def _asks_first(self: ApprovalWorkflow) -> None:
    await workflow.execute_local_activity(
        "look_up",
        DirectoryQuery(names=(), people=(), given={}, at=workflow.now()),
        start_to_close_timeout=LOCAL_TIMEOUT,
    )
    await record(self)


async def _records_nothing(self: ApprovalWorkflow) -> None:
    self._unrecorded, self._notifications = [], []


async def _waits_where_new(self: ApprovalWorkflow) -> None:
    if workflow.patched("wait-before-recording"):
        await workflow.sleep(timedelta(seconds=1))
    await record(self)


@pytest.mark.parametrize("change", [_waits_first, _asks_first, _records_nothing], ids=lambda change: change.__name__)
async def test_incompatible_change_of_the_workflow_is_caught(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[ApprovalWorkflow], Awaitable[None]]
) -> None:
    monkeypatch.setattr(ApprovalWorkflow, "_record", change)
    result = await replay(FOLDER / VERSION / "one-step.json")
    assert isinstance(result.replay_failure, NondeterminismError), result.replay_failure


async def test_same_change_behind_a_patch_is_compatible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApprovalWorkflow, "_record", _waits_where_new)
    assert (await replay(FOLDER / VERSION / "one-step.json")).replay_failure is None


@workflow.defn(name="NotificationWorkflow")
class RestsFirst(NotificationWorkflow):
    """A workflow of that name with another order of its commands."""

    @workflow.run
    async def run(self, given: NotificationChannel) -> ChannelTurnEnd:
        """Rest before the first turn."""
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(given)


async def replay_channel(file: Path, workflows: Sequence[type] = NOTIFICATION_WORKFLOWS) -> WorkflowReplayResult:
    """Replay the history of a channel of notifications."""
    return await replayer(workflows=workflows).replay_workflow(read(file), raise_on_replay_failure=False)


def test_a_channel_is_recorded_for_this_version() -> None:
    assert VERSION in {file.parent.name for file in channels.recorded()}


@pytest.mark.parametrize("file", channels.recorded(), ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_history_of_a_channel_replays_and_another_order_of_its_commands_does_not(
    file: Path,
) -> None:
    assert (await replay_channel(file)).replay_failure is None
    result = await replay_channel(file, workflows=(RestsFirst,))
    assert isinstance(result.replay_failure, NondeterminismError), result.replay_failure


def test_what_was_recorded_is_not_overwritten_and_names_no_machine(tmp_path: Path) -> None:
    history = read(FOLDER / VERSION / "one-step.json")
    there = tmp_path / "a.json"
    assert write(history, there) == len(history.events)
    with pytest.raises(Conflict):
        write(history, there)
    assert there.read_text() == (FOLDER / VERSION / "one-step.json").read_text()
    assert platform.node() not in there.read_text()
    assert {part.split('"')[1] for part in there.read_text().split('"identity":')[1:]} == {"recorded"}
