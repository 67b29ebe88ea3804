"""When a request begins: by the first event of its history, with a directory that is no older."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from temporalio import workflow

from placet.directory import NEVER
from placet.engine.events import Opening
from tests.unit.core import START, office
from workflows.lifecycle import as_taken, begin_time

_LATER = START + timedelta(minutes=6)


def opening(secret: str) -> Opening:
    return Opening(
        request_id="r",
        requester="rita",
        title="T",
        input={},
        directory=office(),
        directory_at=START,
        secret=secret,
        titled=True,
    )


@pytest.mark.parametrize(
    ("secret", "waited", "began", "directory_at"),
    [
        ("secret", timedelta(seconds=9), START, START),
        ("secret", timedelta(minutes=6), START, NEVER),  # people may have left meanwhile
        ("", timedelta(seconds=9), START + timedelta(seconds=9), START),  # as it always was
        ("", timedelta(minutes=6), START + timedelta(minutes=6), START),
    ],
)
def test_a_request_begins_with_its_first_event_whenever_its_first_task_is_done(
    monkeypatch: pytest.MonkeyPatch, secret: str, waited: timedelta, began: datetime, directory_at: datetime
) -> None:
    info = SimpleNamespace(workflow_start_time=START, start_time=START + waited)
    monkeypatch.setattr(workflow, "info", lambda: info)
    assert begin_time(opening(secret)) == began
    monkeypatch.setattr(workflow, "patched", lambda _: True)
    for marks_late in (True, False):
        assert as_taken(opening(secret), marks_late=marks_late).directory_at == directory_at


def test_a_replay_takes_no_first_task_for_late_that_history_does_not_call_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "info", lambda: SimpleNamespace(workflow_start_time=START, start_time=_LATER))
    monkeypatch.setattr(workflow, "patched", lambda _: False)
    assert as_taken(opening("secret"), marks_late=True).directory_at == START
    assert as_taken(opening("secret"), marks_late=False).directory_at == NEVER  # as it was before there was a marker
