"""Calls of Teams: somebody has written to the outgoing webhook, by which a task is decided."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from fastapi import Request

from activities.decision_tokens import LinkDecision
from activities.notifications.channels.slack import OPEN
from activities.notifications.channels.teams import CARD, card
from activities.notifications.settings import below
from api.chat.received import body_of, forgeries_on_record, member_at, note_refusal
from api.context import ApiContext
from languages.catalogues import say_in
from placet.errors import InputInvalid, NotConfigured
from placet.json_text import read_json
from service.chat.callbacks import require_first
from service.chat.deciding import Answer, SeenTask, command
from service.chat.members import Member
from service.chat.signatures import require_fresh, verify_teams

_MENTION = re.compile(r"<at[^<>]*>[^<>]*</at>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_COMMAND = re.compile(r"(approve|reject)\s+(\S{1,200})\s+(\d{1,6})\.(\d{1,6})(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_HELP = "Write: approve TASK ROUND.REVISION, or reject TASK ROUND.REVISION, as the card of the task says it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What Teams is answered, and what came of a command; `answer` is None where none was written."""

    message: dict[str, Any]
    answer: Answer | None


async def receive(context: ApiContext, request: Request) -> Written:
    """Take a message that was written to the outgoing webhook, and answer it.

    Raises NotConfigured, CallbackRefused, InputInvalid, Busy and Unavailable.
    """
    secrets = [secret.get_secret_value() for secret in context.notify.teams_secrets]
    if not secrets:
        raise NotConfigured("Teams is not set up here: set PLACET_TEAMS_SECRETS.")
    body = await body_of(context, request)

    async with forgeries_on_record(context, request, "teams"):
        call_id = verify_teams(secrets, authorization=request.headers.get("authorization"), body=body)
        activity = read_json(body)
        require_fresh(_sent(activity), context.now())
        await require_first(context, call_id)
    found = _COMMAND.fullmatch(plain(member_at(activity, "text")))
    if found is None:
        return Written(message=_message([_HELP], None, ""), answer=None)
    tenant = activity.get("channelData")
    member = Member(
        service="teams",
        workspace=member_at(tenant, "tenant", "id"),
        id=member_at(activity, "from", "aadObjectId"),
    )
    word, task_id, round_, revision, comment = found.groups()
    seen = SeenTask(id=task_id, round=int(round_), revision=int(revision))
    decision = cast(LinkDecision, word.lower())
    answer = await command(context, member, decision, seen, comment=comment, call_id=call_id)
    await note_refusal(context, member, answer)
    page = below(context.notify.public_url, f"tasks/{task_id}") if answer.task_id else None
    lines = [answer.text if not answer.title else f"{answer.title}: {answer.text}"]
    return Written(message=_message(lines, page, say_in(answer.language)(OPEN)), answer=answer)


def plain(text: str) -> str:
    """Return what somebody has written without the mention of the webhook and without markup."""
    return " ".join(html.unescape(_TAG.sub(" ", _MENTION.sub(" ", text))).split())


def _sent(activity: Any) -> datetime:
    try:
        sent = datetime.fromisoformat(member_at(activity, "timestamp"))
    except ValueError as error:
        raise InputInvalid.at("/timestamp", "this has to be a moment") from error
    return sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)


def _message(lines: list[str], page: str | None, word: str) -> dict[str, Any]:
    attachment = {"contentType": CARD, "content": card(lines, page, word)}
    return {"type": "message", "text": lines[0], "attachments": [attachment]}
