"""Calls of Slack: somebody has pressed a button in a message of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import structlog
from fastapi import Request

from activities.notifications.channels.slack import BUTTON, BUTTONS, COMMENT
from activities.notifications.channels.slack_client import SlackClient, SlackRefused
from api.chat.received import body_of, forgeries_on_record, member_at, note_refusal
from api.context import ApiContext
from placet.errors import InputInvalid, NotConfigured
from placet.json_text import read_json
from service.chat.callbacks import require_first
from service.chat.deciding import Answer, press
from service.chat.members import Member
from service.chat.signatures import verify_slack

_ENDS = frozenset({"expired", "decided", "closed", "handed_over", "changed", "off", "sign"})
"""Why a button decides nothing for anybody any more, so that it is taken out of the message."""
_SECONDS = 10.0  # for telling in the chat what came of a press
_MOST_FIELDS = 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A press, what came of it, and where its message is; `answer` is None for a press that decides nothing."""

    member: Member
    channel: str
    moment: str  # by which Slack names the message
    blocks: Sequence[Mapping[str, Any]]
    answer: Answer | None


async def receive(context: ApiContext, request: Request) -> Pressed | None:
    """Take a call of Slack; None for one that is about no button of ours.

    Raises NotConfigured, CallbackRefused, InputInvalid, Busy and Unavailable.
    """
    secret = context.notify.slack_signing_secret
    if secret is None:
        raise NotConfigured("Slack is not set up here: set PLACET_SLACK_SIGNING_SECRET.")
    body = await body_of(context, request)

    async with forgeries_on_record(context, request, "slack"):
        call_id = verify_slack(
            secret.get_secret_value(),
            timestamp=request.headers.get("x-slack-request-timestamp"),
            signature=request.headers.get("x-slack-signature"),
            body=body,
            now=context.now(),
        )
    payload = _payload(body)
    if payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], dict) else {}
    name = action.get("action_id")
    if not isinstance(name, str) or not name.startswith(BUTTON):
        return None
    async with forgeries_on_record(context, request, "slack"):
        await require_first(context, call_id)
    user = payload.get("user")
    home = user if isinstance(user, dict) and user.get("team_id") else payload.get("team")
    member = Member(
        service="slack",
        workspace=member_at(home, "team_id" if home is user else "id"),
        id=member_at(payload, "user", "id"),
    )
    answer = None
    if name != f"{BUTTON}open":
        token, comment = member_at(action, "value"), _comment(payload)
        answer = await press(context, member, token, comment=comment, secret=context.secret)
        await note_refusal(context, member, answer)
    message = payload.get("message")
    blocks = message.get("blocks") if isinstance(message, dict) else None
    return Pressed(
        member=member,
        channel=_text(payload, "container", "channel_id") or _text(payload, "channel", "id"),
        moment=_text(payload, "container", "message_ts"),
        blocks=[one for one in blocks if isinstance(one, dict)] if isinstance(blocks, list) else [],
        answer=answer,
    )


async def tell(context: ApiContext, pressed: Pressed) -> None:
    """Tell in the chat what came of a press: in the message where it is over, else to whoever pressed alone.

    What Slack does not take is logged; the decision stands.
    """
    answer = pressed.answer
    if answer is None or context.notify.slack_bot_token is None or not pressed.channel:
        return
    client = SlackClient(context.notify, seconds=_SECONDS)
    over = answer.result != "refused" or answer.code in _ENDS
    try:
        if over and pressed.moment:
            content = {"channel": pressed.channel, "ts": pressed.moment, "text": answer.text}
            await client.post("chat.update", {**content, "blocks": without_buttons(pressed.blocks, answer.text)})
        else:
            content = {"channel": pressed.channel, "user": pressed.member.id, "text": answer.text}
            await client.post("chat.postEphemeral", content)
    except SlackRefused as error:
        _log.warning("slack_not_told", task=answer.task_id, reason=error.message)


def without_buttons(blocks: Sequence[Mapping[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return the blocks of a message without what decides, and with what came of it; links stay."""
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("block_id") == COMMENT:
            continue
        if block.get("block_id") == BUTTONS:
            links = [one for one in block.get("elements") or () if isinstance(one, dict) and one.get("url")]
            if links:
                kept.append({**block, "elements": links})
            continue
        kept.append(dict(block))
    return [*kept, {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}]


def _payload(body: bytes) -> dict[str, Any]:
    try:
        form = parse_qs(body.decode(), max_num_fields=_MOST_FIELDS)
    except ValueError as error:  # also what is not UTF-8
        raise InputInvalid("The call is no form that can be read.") from error
    payload = read_json((form.get("payload") or ["{}"])[0].encode())
    if not isinstance(payload, dict):
        raise InputInvalid.at("/payload", "this has to be an object")
    return payload


def _comment(payload: dict[str, Any]) -> str | None:
    return _text(payload, "state", "values", COMMENT, COMMENT, "value") or None


def _text(value: Any, *path: str) -> str:
    """Return a text within what Slack has sent; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
