"""The SDK's sandbox around workflows, with what they import passed through; production runs without it.

Code that is passed through is not checked for determinism, so a test runs the workflows under the bare sandbox as well.
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


def passing_runner() -> SandboxedWorkflowRunner:
    """Return the runner of the tests of workflows; those of the API and the pages run workflows as production does."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
