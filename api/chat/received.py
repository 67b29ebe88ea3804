"""What the calls of all chats have in common: each is verified before it is read, and counts once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from api.context import ApiContext
from api.http.authentication import address_of
from api.http.calls import read_bytes
from api.http.problems import status_of
from placet.errors import CallbackRefused, InputInvalid
from service.chat.callbacks import record, record_forged
from service.chat.deciding import Answer
from service.chat.members import Member

_LONGEST = 200_000  # bytes of a call
_LONGEST_TEXT = 20_000  # characters of one text in it
_FORBIDDEN = frozenset({"unmapped", "other_person", "left", "unknown", "off", "unreadable", "handed_over"})


async def body_of(context: ApiContext, request: Request) -> bytes:
    """Return the body of a call; raises 413 for one that no chat sends."""
    return await read_bytes(request, min(_LONGEST, context.max_body_bytes))


@asynccontextmanager
async def forgeries_on_record(context: ApiContext, request: Request, service: str) -> AsyncIterator[None]:
    """Have it on record where a call is no call of the chat, an old one, or one that has come before; raises Busy."""
    try:
        yield
    except CallbackRefused as error:
        await record_forged(context, service, error, address=address_of(request))
        raise


async def note_refusal(context: ApiContext, member: Member, answer: Answer) -> None:
    """Put on record that a press or a command was refused."""
    if answer.result != "refused":
        return
    status = 409 if answer.error is None else status_of(answer.error)
    if answer.code in _FORBIDDEN:
        status = 403
    await record(
        context,
        who=answer.person or member.name,
        error=answer.reason,
        status=status,
        task_id=answer.task_id,
        action=f"decide by {member.service}",
    )


def member_at(value: Any, *path: str) -> str:
    """Return a text within what a chat has sent; raises InputInvalid that names its place where there is none."""
    place = value
    for name in path:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, str) or not 0 < len(place) <= _LONGEST_TEXT:
        raise InputInvalid.at("/" + "/".join(path), "this has to be a text, and not a very long one")
    return place
