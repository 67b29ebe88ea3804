"""The models of drafts that a language model writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool

from api.schemas.common import Body, View
from api.schemas.drafts import DraftWhole, Name
from api.schemas.suggestions import SuggestionWhole
from api.schemas.templates import FindingView
from service.drafting.drafting import Drafted
from service.drafting.instructions import Message
from service.drafting.settings import LONGEST_WORDS


class WordsBody(Body):
    """What a process is to do, in words; with `template`, how that process is to change.

    With `show` nothing is sent: the answer says what would be.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"words": "Expenses above 5,000 EUR go to the manager, then to the CFO."}}
    )

    words: Annotated[str, Field(min_length=1, max_length=LONGEST_WORDS)]
    template: Name | None = None
    show: StrictBool = False


class MessageView(View):
    """A message to the language model, or an answer of its that went back to it with its faults."""

    role: Literal["system", "user", "assistant"]
    content: str


class DraftedView(View):
    """What was written, and what it was stored as: `draft`, or `suggestion` where it changes a process.

    `sent` is everything that went to the model. `findings` are warnings of the proofs, `outcomes` counts the branches
    that the exploration found. `tries` is 1 where nothing had to be repaired, and 0 where nothing was sent.
    """

    draft: DraftWhole | None = None
    suggestion: SuggestionWhole | None = None
    source: Literal["llm"] = "llm"
    model: str | None = None
    blueprint: dict[str, Any] | None = None
    findings: list[FindingView] = Field(default_factory=list)
    outcomes: dict[str, int] = Field(default_factory=dict)
    tries: int = 0
    sent: list[MessageView]

    @classmethod
    def of(cls, made: Drafted) -> DraftedView:
        """Show what was written."""
        written = made.written
        return cls(
            draft=None if made.draft is None else DraftWhole.of(made.draft),
            suggestion=None if made.suggestion is None else SuggestionWhole.of(made.suggestion),
            model=made.model,
            blueprint=written.blueprint,
            findings=[FindingView.model_validate(finding) for finding in written.findings],
            outcomes=written.outcomes,
            tries=written.tries,
            sent=_messages(written.sent),
        )

    @classmethod
    def unsent(cls, messages: tuple[Message, ...]) -> DraftedView:
        """Show what would be sent."""
        return cls(sent=_messages(messages))


def _messages(messages: tuple[Message, ...]) -> list[MessageView]:
    return [MessageView(role=message.role, content=message.content) for message in messages]
