"""What the demo tells of a request's record, line by line, and what it leaves in the inbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from cli.commands.demo import _OPEN, _leave_open
from cli.demo.agent import PAYMENT
from cli.demo.story import Story, words_of
from placet.proofs import check
from tests.gallery import ACTIONS, children, people
from tests.unit.core import START


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
        ("claimed", {"action_digest": "af"}, "the approved action, once"),
        ("claim_refused", {"failure": "digest_mismatch"}, "another action than the approved one"),
    ],
)
def test_an_entry_is_told_in_words(kind: str, detail: dict[str, Any], words: str) -> None:
    assert words_of(kind, detail) == words


@dataclass
class Heard(Story):
    """A story that keeps what is sent, and to where."""

    sent: list[tuple[str, Any]] = field(default_factory=list)

    async def call(self, person: str, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        """Answer as the API does, with an id."""
        self.sent.append((path, body))
        return {"id": f"{len(self.sent)}"}


async def test_what_the_demo_leaves_open_says_what_it_is_about_and_its_first_decision_can_be_undone() -> None:
    async with httpx.AsyncClient() as http:
        story = Heard(http=http, tokens={}, mails=None)
        await _leave_open(story)
    blueprints = [body for path, body in story.sent if path == "process-templates/"]
    assert len(blueprints) == len(_OPEN)
    for blueprint in blueprints:
        first, *others = blueprint["process_steps"]
        assert first["undo_seconds"] >= 10, "long enough to read the notice and press its button"
        assert not any("undo_seconds" in step for step in others)
        assert blueprint["settings"]["summary"]
        assert check(blueprint, directory=people(), actions=ACTIONS, children=children(START)).ok
    asked = [body["title"] for path, body in story.sent if path == "requests/"]
    assert asked == [title for requests in _OPEN.values() for title, _ in requests]


def test_the_process_that_the_demos_agent_asks_by_is_sound() -> None:
    assert check(PAYMENT, directory=people(), actions=ACTIONS, children=children(START)).ok
