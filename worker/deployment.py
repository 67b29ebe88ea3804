"""The version that a worker registers as at the engine (Worker Versioning), where one is set.

What runs on it moves to the version that is current, at its next workflow task: requests last for weeks, and would keep
the workers of every version for as long if they were pinned (docs/decisions/0056-worker-versioning.md).
"""

from __future__ import annotations

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from placet.errors import InputInvalid
from worker.settings import Settings


def version_of(settings: Settings) -> WorkerDeploymentVersion | None:
    """Return the deployment and build that the settings name, or None; raises InputInvalid for one of them alone."""
    if settings.deployment is None and settings.build_id is None:
        return None
    if settings.deployment is None or settings.build_id is None:
        raise InputInvalid("A worker with a version needs both PLACET_DEPLOYMENT and PLACET_BUILD_ID; one is missing.")
    return WorkerDeploymentVersion(deployment_name=settings.deployment, build_id=settings.build_id)


def deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return how the workers for approvals and actions register; None: without a version."""
    version = version_of(settings)
    if version is None:
        return None
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE
    )
