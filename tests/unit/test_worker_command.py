"""`placet worker --only`: which duties a worker process has."""

from __future__ import annotations

import pytest

from cli.commands.worker import duties_of
from cli.workers import EVERYTHING, Duty
from placet.errors import InputInvalid


@pytest.mark.parametrize(
    ("only", "duties"),
    [
        (None, EVERYTHING),
        ([], EVERYTHING),
        (["approvals"], {Duty.APPROVALS}),
        (["approvals", "actions"], {Duty.APPROVALS, Duty.ACTIONS}),
        (["approvals, notifications", "actions"], EVERYTHING),
    ],
)
def test_a_worker_has_the_duties_that_are_named_or_all(only: list[str] | None, duties: set[Duty]) -> None:
    assert duties_of(only) == duties


@pytest.mark.parametrize("only", [["approval"], [""], ["actions,"]])
def test_a_duty_that_is_unknown_is_refused_with_those_that_there_are(only: list[str]) -> None:
    with pytest.raises(InputInvalid, match="approvals, actions, notifications"):
        duties_of(only)
