"""What the demo tells of a request's record, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from cli.commands.demo import words_of


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("started", {"title": "Stand"}, ""),
        ("task_opened", {"assignee": "user:max"}, "Max is asked"),
        ("reminded", {"to": ["user:max", "user:dana"]}, "Max, Dana: a reminder"),
        ("notified", {"event": "reminded", "to": "user:max"}, "a mail to Max: a reminder"),
        ("notified", {"event": "of_tomorrow", "to": "user:max"}, "a mail to Max: of_tomorrow"),
        ("escalated", {"before": {"assignee": "user:max"}, "after": {"assignee": "user:dana"}}, "from Max to Dana"),
        ("decided", {"decision": "approve", "why": "Go."}, "approve: Go."),
        ("decided", {"decision": "approve", "why": None}, "approve"),
        ("routed", {"to": "cfo", "condition": "amount > 5000"}, "on to 'cfo': amount > 5000"),
        ("routed", {"to": "yes", "condition": "default"}, "on to 'yes': no condition holds"),
        ("stage_settled", {"result": "approved"}, "approved"),
        ("completed", {"outcome": "approved"}, "approved"),
    ],
)
def test_an_entry_is_told_in_words(kind: str, detail: dict[str, Any], words: str) -> None:
    assert words_of(kind, detail) == words
