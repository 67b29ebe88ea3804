"""The models of chats: what came of a call of theirs, and the links of their members to people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Body, Shown, View, shown, with_examples
from service.chat.deciding import Answer
from service.documents import PersonRef
from storage.tables.chat import ChatLink

_LINK: dict[str, Any] = {"service": "slack", "workspace": "T024BE7LD", "member": "U2147483697", "person": "user:bob"}
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:@-]+$")]


class PressView(View):
    """What came of a press in Slack; Slack itself reads nothing of it.

    `result` is `decided`, `decided_before` (the same press again), `refused` or `ignored`; `code` says why.
    """

    result: Literal["decided", "decided_before", "refused", "ignored"]
    code: str
    text: str

    @classmethod
    def of(cls, answer: Answer | None) -> PressView:
        """Show what came of a press; None: it was about no button that decides."""
        if answer is None:
            return cls(result="ignored", code="", text="")
        return cls(result=answer.result, code=answer.code, text=answer.text)


class TeamsMessage(View):
    """A message that answers in the channel of Teams: its text, and a card with the same."""

    type: Literal["message"]
    text: str
    attachments: list[dict[str, Any]]


class NewChatLink(Body):
    """A member of a chat who is a person here.

    In Slack `workspace` is the team's id and `member` the member's (`U…`); in Teams they are the tenant's id and the
    person's object id in Entra.
    """

    model_config = with_examples(_LINK)

    service: Literal["slack", "teams"]
    workspace: Id
    member: Id
    person: PersonRef


class ChatLinkView(View):
    """A member of a chat who is a person here, and who has said so."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"id": "cl_3f0c", **_LINK, "linked_by": "user:adam", "linked_at": "2026-08-03T00:00:00Z"},
            ]
        },
    )

    id: str
    service: Literal["slack", "teams"]
    workspace: str
    member: str
    person: str
    linked_by: str
    linked_at: Shown

    @classmethod
    def of(cls, row: ChatLink) -> ChatLinkView:
        """Show a stored link."""
        return cls.model_validate({**row.model_dump(), "person": shown(row.person), "linked_by": shown(row.linked_by)})
