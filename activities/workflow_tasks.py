"""The workflow tasks that this process carries out, by run: what the engine said when it gave them.

A local activity needs to know it and cannot ask. History does not hold its input, and the time that a workflow knows
moves on with the results of its local activities.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTask:
    """One attempt at a task, told by when the engine says it began, and whether the engine suggests a new run."""

    length: int  # events of the run's history
    began: datetime
    suggests_new_run: bool


class WorkflowTasks:
    """The task of each run that a process holds, from the activations that its workflows are given."""

    def __init__(self) -> None:
        self._tasks: dict[str, WorkflowTask] = {}

    def note(self, activation: WorkflowActivation) -> None:
        """Take note of an activation. The first one of a task brings the time at which that began."""
        if any(job.HasField("remove_from_cache") for job in activation.jobs):
            self._tasks.pop(activation.run_id, None)
        elif not any(job.HasField("query_workflow") for job in activation.jobs):
            before = self._tasks.get(activation.run_id)
            if before is None or before.length != activation.history_length:
                self._tasks[activation.run_id] = WorkflowTask(
                    length=activation.history_length,
                    began=activation.timestamp.ToDatetime(tzinfo=UTC),
                    suggests_new_run=activation.continue_as_new_suggested,
                )

    def of(self, run_id: str) -> WorkflowTask | None:
        """Return the task of a run, None where this process does not hold the run."""
        return self._tasks.get(run_id)


TASKS = WorkflowTasks()
"""Those of this process: its workers share them, as ids of runs are unique."""


def task_of_activity() -> WorkflowTask | None:
    """Return the workflow task that the local activity which is under way belongs to."""
    run_id = activity.info().workflow_run_id
    return None if run_id is None else TASKS.of(run_id)
