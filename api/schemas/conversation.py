"""The models of questions to the requester, and of watching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field

from api.schemas.common import Body, Shown, View, shown, with_examples
from service.documents import Words

_EXAMPLE_QUESTION: dict[str, Any] = {
    "n": 1,
    "task_id": "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7.1",
    "asked_by": "user:mia",
    "asked_at": "2026-03-02T10:00:00.000000Z",
    "text": "Which hotel?",
    "answered_at": None,
    "answer": None,
}


class NewQuestion(Body):
    """A question to the requester. Without `task_id`, it is about the task that the caller has."""

    model_config = with_examples({"text": "Which hotel?"})

    text: Annotated[Words, Field(validation_alias=AliasChoices("text", "question", "comment", "message"))]
    task_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class NewAnswer(Body):
    """The requester's answer to a question."""

    model_config = with_examples({"text": "The one at the fair."})

    text: Annotated[Words, Field(validation_alias=AliasChoices("text", "answer", "comment", "message"))]


class QuestionView(View):
    """A question to the requester. `answer` is null while it is open, and for ever where the request ended before.

    Text that was erased is null.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE_QUESTION]})

    n: int
    task_id: str | None
    asked_by: str
    asked_at: str
    text: str | None
    answered_at: str | None
    answer: str | None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> QuestionView:
        """Show a stored question."""
        return cls.model_construct(**{**stored, "asked_by": shown(stored["asked_by"])})


class WatchView(View):
    """Whether the caller watches a request, and since when."""

    request_id: str
    watched: bool
    since: Shown | None
