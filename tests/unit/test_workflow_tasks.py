"""Which task of a run a process has, told by the activations of its workflows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.bridge.proto.workflow_activation import (
    QueryWorkflow,
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.testing import ActivityEnvironment

from activities.workflow_tasks import TASKS, WorkflowTasks, task_of_activity
from workflows.activation import ActivationExecutor

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def activation(length: int, *jobs: WorkflowActivationJob, after: float = 0, full: bool = False) -> WorkflowActivation:
    made = WorkflowActivation(run_id="run", history_length=length, continue_as_new_suggested=full, jobs=jobs)
    made.timestamp.FromDatetime(BEGAN + timedelta(seconds=after))
    return made


def test_a_task_began_with_its_first_activation_and_the_next_one_with_a_longer_history() -> None:
    tasks = WorkflowTasks()
    for length, after, full in ((3, 0, False), (3, 7, False), (9, 8, True), (9, 12, True)):
        tasks.note(activation(length, after=after, full=full))
    task = tasks.of("run")
    assert task is not None
    assert (task.length, task.began, task.suggests_new_run) == (9, BEGAN + timedelta(seconds=8), True)


def test_a_question_begins_no_task_and_what_leaves_the_cache_has_none() -> None:
    tasks = WorkflowTasks()
    tasks.note(activation(3))
    tasks.note(activation(0, WorkflowActivationJob(query_workflow=QueryWorkflow()), after=60))
    assert tasks.of("run") is not None
    tasks.note(activation(3, WorkflowActivationJob(remove_from_cache=RemoveFromCache())))
    assert tasks.of("run") is None
    tasks.note(activation(3, after=20))  # the same task again, after it was given up
    task = tasks.of("run")
    assert task is not None
    assert task.began == BEGAN + timedelta(seconds=20)


@pytest.mark.parametrize("replaying", [False, True])
async def test_a_worker_takes_note_wherever_an_activation_runs(replaying: bool) -> None:
    environment = ActivityEnvironment()
    run_id = environment.info.workflow_run_id
    assert run_id is not None
    activated = activation(3)
    activated.run_id, activated.is_replaying = run_id, replaying
    executor = ActivationExecutor()
    executor.submit(lambda _: None, activated)
    try:
        task = environment.run(task_of_activity)
        assert task is not None
        assert task.began == BEGAN
    finally:
        TASKS.note(WorkflowActivation(run_id=run_id, jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())]))
    assert environment.run(task_of_activity) is None
