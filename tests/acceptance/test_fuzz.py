"""Whatever is sent, by whoever it is: no answer is an error of ours, and no secret comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.access import RULES
from tests.contract import Placet
from tests.fuzz import ROLES, Fuzzing, installed
from tests.processes import descendants

SECONDS = 40
SOMEBODY = {role for role, person in ROLES.items() if person is not None}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give an installation of its own: an admin's calls change people, rights and processes."""
    with installed(tmp_path_factory.mktemp("fuzz") / "home") as running:
        yield running


def test_no_call_as_any_role_ends_in_an_error_of_ours(fuzzed: Placet) -> None:
    run = Fuzzing(fuzzed, seconds=SECONDS)
    run.run()
    assert {role for role, _ in run.answers} >= ROLES.keys()
    assert run.succeeded
    assert [route for role, route in run.succeeded if role not in SOMEBODY and route in RULES] == []


def test_no_log_and_no_argument_of_a_process_holds_a_secret(fuzzed: Placet) -> None:
    secrets = {*fuzzed.tokens.values(), (fuzzed.place.home / "secret.key").read_text().strip()}
    logs = [path.read_text(errors="replace") for path in fuzzed.place.home.rglob("*.log")]
    assert logs
    assert [secret for secret in secrets if any(secret in log for log in logs)] == []
    pid = fuzzed.where["pid"]
    arguments = [Path(f"/proc/{one}/cmdline").read_text() for one in {pid, *descendants(pid)}]
    assert len(arguments) > 3
    assert [secret for secret in secrets if any(secret in line for line in arguments)] == []
