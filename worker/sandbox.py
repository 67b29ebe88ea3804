"""How workflows are run: without the SDK's sandbox, for the reasons and figures in docs/decisions/0003-sandbox.md.

What the sandbox would find is found before: the tests run the same workflows under the bare sandbox, and every kind of
recorded history is replayed.
"""

from __future__ import annotations

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner


def workflow_runner() -> WorkflowRunner:
    """Return the runner that workers use."""
    return UnsandboxedWorkflowRunner()
