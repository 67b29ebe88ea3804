"""How workflows are isolated: the one place that says which modules the sandbox does not import anew.

The project's own packages are pure where workflows use them, and importing them anew would cost 1.8 s a workflow. Code
that is passed through is not checked for determinism, so the tests run the workflows under the bare sandbox as well.
Pass all of them or none: half of them breaks isinstance.
"""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = (
    "placet",
    "workflows",
    "activities",
    "storage",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_extensions",
    "rfc8785",
    "jsonschema_rs",
    "itsdangerous",
)


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the runner that workers use."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
