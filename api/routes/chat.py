"""Chats: the addresses that Slack and Teams call, and the links of their members to people."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from api.chat import slack, teams
from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.http.parameters import PublicRoute
from api.schemas.chat import ChatLinkView, NewChatLink, PressView, TeamsMessage
from api.schemas.common import Listed
from service.chat.members import Member, link_member, unlink_member
from storage.queries import cursor as cursors
from storage.queries.people import chat_links
from storage.tables.chat import ChatLink

signed = APIRouter(prefix="/chat", tags=["chat"], route_class=PublicRoute)
router = APIRouter(prefix="/workflow/chat-links", tags=["chat"], route_class=PersonalRoute)


@signed.post("/slack/interactions", response_model=PressView)
async def take_slack_interaction(request: Request, context: Here) -> Response:
    """Take a press of a button in Slack, which has signed the call; 401 with `reason` for any other.

    What came of it is told in the chat. 501 where Slack is not set up.
    """
    pressed = await slack.receive(context, request)
    view = PressView.of(None if pressed is None else pressed.answer)
    # Slack waits for three seconds; telling in the chat may take longer.
    after = None if pressed is None else BackgroundTask(slack.tell, context, pressed)
    return JSONResponse(view.model_dump(), background=after)


@signed.post("/teams/messages")
async def take_teams_message(request: Request, context: Here) -> TeamsMessage:
    """Take what somebody wrote to the outgoing webhook of Teams, which has signed the call; 401 for any other.

    The answer is shown in the channel. 501 where Teams is not set up.
    """
    return TeamsMessage.model_validate((await teams.receive(context, request)).message)


@router.get("/")
async def list_chat_links(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[ChatLinkView]:
    """List which members of chats are which people, by the link's id. For admins."""
    after = None if cursor is None else cursors.read_names(cursor, 1)[0]
    page = cursors.page(await context.database.read(chat_links.listed, after=after, limit=limit), limit, _place)
    return Listed(items=[ChatLinkView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/", status_code=201)
async def create_chat_link(context: Here, caller: Caller, body: NewChatLink) -> ChatLinkView:
    """Say that a member of a chat is a person here, who may then decide there. For admins."""
    member = Member(service=body.service, workspace=body.workspace, id=body.member)
    return ChatLinkView.of(await link_member(context, caller, member, body.person))


@router.delete("/{link_id}/")
async def delete_chat_link(context: Here, caller: Caller, link_id: str) -> ChatLinkView:
    """Remove a link and return it. For admins."""
    return ChatLinkView.of(await unlink_member(context, caller, link_id))


def _place(row: ChatLink) -> tuple[str]:
    return (row.id,)
