"""The version that a worker registers as is what the settings name, whole or not at all."""

from __future__ import annotations

import pytest
from temporalio.common import VersioningBehavior
from typer.testing import CliRunner

from cli.main import app
from placet.errors import InputInvalid
from worker.deployment import deployment_config, version_of
from worker.settings import Settings


def test_without_a_version_nothing_is_registered() -> None:
    assert deployment_config(Settings()) is None


def test_what_runs_on_a_version_moves_to_the_current_one() -> None:
    config = deployment_config(Settings(deployment="placet", build_id="0.2.0"))
    assert config is not None
    assert config.use_worker_versioning
    assert config.version.to_canonical_string() == "placet.0.2.0"
    assert config.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE


@pytest.mark.parametrize("half", [Settings(deployment="placet"), Settings(build_id="0.2.0")])
def test_half_a_version_is_refused(half: Settings) -> None:
    with pytest.raises(InputInvalid, match="both PLACET_DEPLOYMENT and PLACET_BUILD_ID"):
        version_of(half)


@pytest.mark.parametrize(
    "arguments",
    [
        ["worker", "--make-current"],  # no version
        ["worker", "--make-current", "--only", "notifications"],  # which have none
        ["deployments", "list"],  # of which?
    ],
)
def test_a_command_that_lacks_the_version_says_what_to_set(arguments: list[str]) -> None:
    answered = CliRunner().invoke(app, arguments)
    assert answered.exit_code == 2
    assert "PLACET_DEPLOYMENT" in answered.output
