"""The TypeScript client: its types are the API's, it compiles strictly, and it works on a running installation."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract import Placet, open_tasks
from tests.documented import document
from tests.waiting import PATIENCE, poll

ROOT = Path(__file__).parents[2]
HERE = ROOT / "clients" / "typescript"
MINUTES = 600.0  # seconds, of one step on a machine that has much else to do


def run(*command: str, where: Path = HERE, **env: str) -> str:
    """Run a step of the client's, and return what it prints; AssertionError with all of that where it fails."""
    step = subprocess.run(
        command, cwd=where, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=MINUTES
    )
    assert step.returncode == 0, f"{' '.join(command)}:\n{step.stdout[-6000:]}\n{step.stderr[-6000:]}"
    return step.stdout


@pytest.fixture(scope="module")
def modules() -> None:
    """Install what the lock file names, unless it is there."""
    run("make", "--silent", "clients/typescript/node_modules/.installed", where=ROOT)


@pytest.fixture(scope="module")
def built(modules: None) -> Path:
    """Compile it, with its tests and its example."""
    run("npm", "run", "--silent", "build")
    return HERE / "dist"


@pytest.fixture
def environment(placet: Placet) -> dict[str, str]:
    process = placet.publish(placet.process({"stage_name": "Yes or no", "approvers": ["user:max"]}))
    return {
        "PLACET_URL": placet.where["api"],
        "PROCESS": process,
        "PLACET_TOKEN": placet.tokens["rita"],
        "REQUESTER_TOKEN": placet.tokens["rita"],
        "DECIDER_TOKEN": placet.tokens["max"],
    }


def test_the_types_are_those_of_the_openapi_document(modules: None, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    made = tmp_path / "schema.ts"
    run("npm", "run", "--silent", "generate", "--", str(tmp_path / "openapi.json"), "-o", str(made))
    assert made.read_text() == (HERE / "src" / "schema.ts").read_text(), "run `make typescript`"


def test_it_compiles_strictly_and_works_on_a_running_installation(built: Path, environment: dict[str, str]) -> None:
    said = run("npm", "test", "--silent", **environment)
    assert int(re.findall(r"pass (\d+)", said)[-1]) >= 10, said


@pytest.mark.parametrize(("decision", "printed"), [("approve", "820.00 EUR are sent"), ("reject", "was rejected")])
def test_the_example_asks_waits_and_claims(
    placet: Placet, built: Path, environment: dict[str, str], decision: str, printed: str
) -> None:
    example = subprocess.Popen(
        ["node", str(built / "examples" / "transfer.js")],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:

        def asked() -> list[dict[str, Any]]:
            assert example.poll() is None, example.communicate()
            path = f"tasks/?assignee=me&status=open&template={environment['PROCESS']}"
            items: list[dict[str, Any]] = placet.get("max", path)["items"]
            return items

        [task] = poll(asked, what="a request")
        placet.decide("max", open_tasks(placet.request({"id": task["request_id"]}))["max"], decision, comment="So.")
        said, _ = example.communicate(timeout=PATIENCE)
    finally:
        example.kill()
        example.wait()
    assert (example.returncode, printed in said) == (0, True), said
