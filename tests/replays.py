"""Replays: whether a recorded history still makes the workflow of today do what it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

from worker.converter import DATA_CONVERTER
from workflows.registration import WORKFLOWS, workflow_runner


def replayer(converter: DataConverter = DATA_CONVERTER, workflows: Sequence[type] = WORKFLOWS) -> Replayer:
    """Return what replays histories in the sandbox that workers use."""
    return Replayer(workflows=workflows, workflow_runner=workflow_runner(), data_converter=converter)


async def replay(handle: WorkflowHandle[Any, Any], converter: DataConverter = DATA_CONVERTER) -> None:
    """Replay the history that the engine has of a workflow; raises where the workflow does something else."""
    await replayer(converter).replay_workflow(await handle.fetch_history())
