"""Decisions in Slack and Teams: which calls count, whom a member stands for, and what is told afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from activities.decision_tokens import LinkTokens
from activities.notifications.channels.slack import SlackChannel
from activities.notifications.channels.teams import TeamsChannel
from activities.notifications.decision_links import DecisionLinkWriter
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.people import chat_links
from storage.queries.requests import requests
from storage.tables.approvals import Refusal
from tests import chats
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, SECRET, worker
from tests.chats import SlackApi, to_slack, to_teams
from tests.clocks import machine_time
from tests.dispatching import add_people, all_are, confirm, dispatching, settings_for, write
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.receiver import Receiver
from tests.stored import reading, writing
from tests.waiting import until

STEP: dict[str, Any] = {"stage_name": "Board", "approvers": ["user:bob"], "comment_required": ["reject"]}
PLACET = "https://placet.example.org"


@dataclass(frozen=True, kw_only=True)
class Office:
    """An installation with a Slack and a team of Teams."""

    desk: ApiDesk
    slack: SlackApi

    async def asked(self, *steps: dict[str, Any]) -> dict[str, Any]:
        """Start a request, and return its first task."""
        name = await self.desk.publish(EXPENSE, process_steps=list(steps or (STEP,)))
        return dict((await self.desk.start(name, amount=120))["tasks"][0])

    async def token(self, task: dict[str, Any], decision: str = "approve", person: str = "bob") -> str:
        """Return what the button of a message to this person carries now."""
        row = await self.desk.database.read(requests.read_task, task["id"])
        columns = {name: getattr(row, name) for name in ("id", "round", "hand_overs", "revision")}
        return DecisionLinkWriter(SECRET, NotifySettings(public_url=PLACET), machine_time).buttons(
            person, columns, None
        )[decision]

    async def press(self, person: str, token: str, decision: str = "approve", **given: Any) -> tuple[str, str]:
        """Press a button, and return what came of it."""
        answer = await to_slack(self.desk, chats.pressed(person, decision, token, **given))
        assert answer.status_code == 200, answer.text
        return answer.json()["result"], answer.json()["code"]

    async def decided(self, task: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Return who has decided what, and how it came."""
        timeline = (await self.desk.get(f"/workflow/requests/{task['request_id']}/timeline/")).json()["items"]
        rows = [entry for entry in timeline if entry["kind"] == "decided"]
        return [(row["actor"], row["detail"]["decision"], row["detail"]["via"]) for row in rows]

    def refusals(self, *who: str) -> list[Refusal]:
        """Return what these were refused, oldest first."""
        with reading(self.desk.database) as session:
            mine = select(Refusal).where(col(Refusal.principal).in_(who)).order_by(col(Refusal.id))
            return list(session.scalars(mine))


@pytest_asyncio.fixture
async def office(database: Database, client: Client, slack: SlackApi) -> AsyncIterator[Office]:
    queue = f"chat-{uuid.uuid4().hex[:8]}"
    notify = NotifySettings(
        public_url=PLACET, slack_url=slack.url, slack_bot_token=SecretStr("xoxb-placet"), **chats.SECRETS
    )
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue, notify=notify) as desk:
        yield Office(desk=desk, slack=slack)


def link(office: Office, service: str, person: str) -> None:
    with writing(office.desk.database) as session:
        chat_links.add(session.connection(), chats.link(service, person))


async def test_a_press_decides_once_is_told_in_the_message_and_a_repeat_changes_nothing(office: Office) -> None:
    office.slack.knows("bob")  # no link: Slack has verified the address that Placet has of him
    task = await office.asked()
    token = await office.token(task, "reject")
    assert await office.press("bob", token, "reject") == ("refused", "refused")
    (told,) = office.slack.of("chat.postEphemeral")
    assert (told["user"], "asks for a comment" in told["text"]) == ("UBOB", True)
    blocks = [
        {"type": "section", "block_id": "kept", "text": {"type": "plain_text", "text": "Buy it?"}},
        {"type": "input", "block_id": "placet_comment"},
        {"type": "actions", "block_id": "placet_buttons", "elements": [{"value": token}, {"url": PLACET}]},
    ]
    assert await office.press("bob", token, "reject", comment="Too much.", blocks=blocks) == ("decided", "")
    for _ in range(2):  # as Slack sends it again, signed anew
        assert await office.press("bob", token, "reject", comment="Too much.") == ("decided_before", "used")
    assert await office.decided(task) == [("user:bob", "reject", "slack")]
    shown = office.slack.of("chat.update")[0]
    assert (shown["channel"], shown["ts"]) == ("DBOB", "1700000000.000100")
    assert [block.get("block_id") for block in shown["blocks"]] == ["kept", "placet_buttons", None]
    assert shown["blocks"][1]["elements"] == [{"url": PLACET}]
    assert shown["blocks"][2]["text"]["text"] == "Rejected"
    assert office.slack.tokens == {"Bearer xoxb-placet"}
    verdict = (await office.desk.get(f"/workflow/requests/{task['request_id']}/audit/verify/")).json()
    assert verdict["ok"] is True


async def test_a_late_press_is_told_what_has_happened_and_loses_its_buttons(office: Office) -> None:
    link(office, "slack", "bob")
    two = {**STEP, "approvers": ["user:bob", "user:carl"], "quorum": "all"}
    decided, handed_over, ended, returned = [await office.asked(two) for _ in range(4)]
    tokens = [await office.token(task) for task in (decided, handed_over, ended, returned)]
    other = f"{returned['request_id']}.2"
    for path, body, who in (
        (f"tasks/{decided['id']}/decide/", {"decision": "approve"}, "bob"),
        (f"tasks/{handed_over['id']}/delegate/", {"to": "user:dora"}, "bob"),
        (f"requests/{ended['request_id']}/withdraw/", {}, "ann"),
        (f"tasks/{other}/decide/", {"decision": "request_changes", "comment": "Why?"}, "carl"),
    ):
        done = await office.desk.post(f"/workflow/{path}", body, as_=who)
        assert done.is_success, done.text
    assert await office.press("bob", tokens[0]) == ("decided_before", "used")
    assert await office.press("bob", await office.token(decided, "reject"), "reject") == ("refused", "decided")
    assert await office.press("bob", tokens[1]) == ("refused", "handed_over")
    assert (await office.press("bob", tokens[2]))[0] == "refused"
    assert (await office.press("bob", tokens[3]))[0] == "refused"
    changed = await office.desk.post(
        f"/workflow/requests/{returned['request_id']}/resubmit/", {"input": {"amount": "90"}}
    )
    assert changed.is_success, changed.text
    assert (await office.press("bob", tokens[3]))[0] == "refused", "a button of an earlier round and revision"
    assert [len(await office.decided(task)) for task in (decided, handed_over, ended, returned)] == [1, 0, 0, 0]
    assert len(office.slack.of("chat.update")) >= 3
    assert {one.action for one in office.refusals("bob")} == {"decide by slack"}


async def test_a_call_that_slack_has_not_just_signed_is_refused_with_its_reason_on_record(office: Office) -> None:
    link(office, "slack", "bob")
    task = await office.asked()
    body = chats.pressed("bob", "approve", await office.token(task))
    good, now = chats.slack_headers(body), datetime.now(UTC)
    old = now - timedelta(minutes=6)
    calls: list[tuple[bytes, dict[str, str], str]] = [
        (body, {}, "unsigned"),
        (body, {**good, "X-Slack-Signature": good["X-Slack-Signature"][:-1]}, "forged"),
        (body, {**good, "X-Slack-Request-Timestamp": "1e9"}, "forged"),
        (body, chats.slack_headers(body, secret="another one"), "forged"),
        (body + b"&x=1", good, "forged"),
        (body, chats.slack_headers(body, at=old), "expired"),
        (body, chats.slack_headers(body, at=now + timedelta(minutes=9)), "expired"),
        (body, {**chats.slack_headers(body, at=old), "X-Slack-Request-Timestamp": good_time(good)}, "forged"),
    ]
    for sent, headers, reason in calls:
        answer = await to_slack(office.desk, sent, headers)
        assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert await office.decided(task) == []
    assert (await to_slack(office.desk, body, good)).json()["result"] == "decided"
    again = await to_slack(office.desk, body, good)
    assert (again.status_code, again.json()["reason"]) == (401, "replayed")
    assert len(await office.decided(task)) == 1
    assert [one.status_code for one in office.refusals("slack")] == [401] * (len(calls) + 1)
    assert "has come before" in office.refusals("slack")[-1].reason
    nothing = await to_slack(office.desk, b"payload={}")
    assert nothing.json()["result"] == "ignored"
    for broken in (b"payload=[]", b"payload={", b"\xff\xfe", b"payload=" + b'{"a":1,"a":2}'):
        assert (await to_slack(office.desk, broken)).status_code == 422


def good_time(headers: dict[str, str]) -> str:
    return headers["X-Slack-Request-Timestamp"]


async def test_a_member_who_is_nobody_here_decides_nothing_and_nobody_decides_for_another(office: Office) -> None:
    task = await office.asked()
    token = await office.token(task)
    for facts in (
        None,  # Slack knows nobody
        {"is_email_confirmed": False},
        {"is_restricted": True},
        {"is_bot": True},
        {"deleted": True},
        {"team_id": "TOTHER"},
        {"profile": {}},
        {"profile": {"email": "nobody@example.com"}},
    ):
        if facts is not None:
            office.slack.knows("bob", **facts)
        assert await office.press("bob", token) == ("refused", "unmapped"), facts
    office.slack.knows("carl")
    assert await office.press("carl", token) == ("refused", "other_person")
    as_link = LinkTokens(SECRET, machine_time).issue(
        "bob", task["id"], round_=1, hand_overs=0, revision=1, decision="approve"
    )
    office.slack.knows("bob")
    assert await office.press("bob", as_link) == ("refused", "unreadable"), "the token of a link is no button"
    twin = await office.desk.post("/workflow/people/", {"id": "bobby", "email": "BOB@example.com"}, as_="adam")
    assert twin.is_success, twin.text
    assert await office.press("bob", token) == ("refused", "unmapped"), "two people have that address"
    assert await office.decided(task) == []
    refused = office.refusals("slack:T0PLACET:UBOB")
    assert {(one.status_code, one.request_id) for one in refused} == {(403, task["request_id"]), (403, None)}
    row = {"service": "slack", "workspace": "T0PLACET", "member": "UBOB", "person": "user:bob"}
    made = await office.desk.post("/workflow/chat-links/", row, as_="adam")
    assert made.status_code == 201, made.text
    assert (await office.desk.post("/workflow/chat-links/", {**row, "person": "carl"}, as_="adam")).status_code == 409
    nobody = await office.desk.post("/workflow/chat-links/", {**row, "person": "nobody"}, as_="adam")
    assert nobody.status_code == 422
    listed = (await office.desk.get("/workflow/chat-links/", as_="adam")).json()["items"]
    assert [(one["person"], one["linked_by"]) for one in listed] == [("user:bob", "user:adam")]
    assert await office.press("bob", token) == ("decided", "")
    removed = await office.desk.call("DELETE", f"/workflow/chat-links/{made.json()['id']}/", as_="adam")
    assert removed.json()["member"] == "UBOB"
    office.slack.error = "internal_error"
    assert await office.press("bob", token) == ("refused", "unmapped")


async def test_teams_decides_by_what_is_written_to_it_and_answers_with_a_card(office: Office) -> None:
    task, other = await office.asked(), await office.asked()
    line = f"approve {task['id']} 1.1"

    async def write_(person: str, text: str, at: datetime | None = None) -> str:
        answer = await to_teams(office.desk, chats.written(person, text, at=at))
        assert answer.status_code == 200, answer.text
        (attached,) = answer.json()["attachments"]
        assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert {one["type"] for one in attached["content"].get("actions", [])} <= {"Action.OpenUrl"}
        return str(answer.json()["text"])

    assert "does not know who you are" in await write_("bob", line)
    link(office, "teams", "bob")
    link(office, "teams", "carl")
    assert "approve TASK" in await write_("bob", "what can you do?")
    assert "not yours" in await write_("carl", line)
    assert "Nothing was decided" in await write_("bob", "approve nothing.1 1.1")
    assert "asks for a comment" in await write_("bob", f"reject {other['id']} 1.1")
    assert await write_("bob", f"reject {other['id']} 1.1 Too &amp; much.") == f"{await title(office, other)}: Rejected"
    assert (await write_("bob", line)).endswith(": Approved")
    assert (await write_("bob", line)).endswith(": Approved")
    assert await office.decided(task) == [("user:bob", "approve", "teams")]
    assert await office.decided(other) == [("user:bob", "reject", "teams")]
    assert {one.action for one in office.refusals("bob", "carl")} == {"decide by teams"}


async def title(office: Office, task: dict[str, Any]) -> str:
    return str((await office.desk.get(f"/workflow/requests/{task['request_id']}/")).json()["title"])


async def test_a_call_that_teams_has_not_just_signed_is_refused_with_its_reason_on_record(office: Office) -> None:
    link(office, "teams", "bob")
    task = await office.asked()
    body = chats.written("bob", f"approve {task['id']} 1.1")
    good, now = chats.teams_headers(body), datetime.now(UTC)
    sent_at = (now - timedelta(minutes=6), now + timedelta(minutes=9))
    late, early = (chats.written("bob", "approve x 1.1", at=at) for at in sent_at)
    unknown = chats.teams_headers(body, secret="d2hhdCBub2JvZHkgc2lnbnMgd2l0aA==")
    calls: list[tuple[bytes, dict[str, str], str]] = [
        (body, {}, "unsigned"),
        (body, {"Authorization": "Bearer x"}, "unsigned"),
        (body, {"Authorization": good["Authorization"][:-4]}, "forged"),
        (body, unknown, "forged"),
        (body + b" ", good, "forged"),
        (late, chats.teams_headers(late), "expired"),
        (early, chats.teams_headers(early), "expired"),
    ]
    for sent, headers, reason in calls:
        answer = await to_teams(office.desk, sent, headers)
        assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert await office.decided(task) == []
    assert (await to_teams(office.desk, body, good)).json()["text"].endswith(": Approved")
    again = await to_teams(office.desk, body, good)
    assert (again.status_code, again.json()["reason"]) == (401, "replayed")
    assert len(await office.decided(task)) == 1
    assert [one.status_code for one in office.refusals("teams")] == [401] * (len(calls) + 1)
    for broken in (b"[]", b"{", json.dumps({"timestamp": "noon"}).encode()):
        assert (await to_teams(office.desk, broken)).status_code == 422


async def test_slack_is_sent_buttons_for_whoever_is_asked_and_finds_people_by_their_address(
    database: Database, mailbox: FaultyMailbox, slack: SlackApi
) -> None:
    await add_people(database, "bob", "rita", channels=["slack"])
    slack.users["UBOB"] = {"id": "UBOB", "profile": {"email": "bob@example.org"}}
    opened = Story(request_id="r1").open("bob")
    await write(database, opened.recording(), opened.breach().recording())
    await confirm(database, opened.breach().recording())
    settings = settings_for(
        mailbox, slack_url=slack.url, slack_bot_token=SecretStr("xoxb"), slack_signing_secret=SecretStr("s" * 20)
    )
    channels = [SlackChannel(settings)]
    async with dispatching(
        database, settings, channels=channels, links=DecisionLinkWriter(SECRET, settings, machine_time)
    ):
        await until(all_are(database, "sent", "failed"))
    posted = slack.of("chat.postMessage")
    assert {one["channel"] for one in posted} == {"UBOB"}, "rita is not in Slack"
    buttons = [one for block in posted[0]["blocks"] for one in block.get("elements", ())]
    assert [one["action_id"] for one in buttons] == ["placet:approve", "placet:reject", "placet:open"]
    assert all(len(one.get("value", "")) < 2000 for one in buttons)
    assert buttons[2]["url"] == f"{PLACET}/tasks/r1.1"
    assert buttons[0]["confirm"]["text"]["text"] == "Grüße 😀"
    assert "input" in {block["type"] for block in posted[0]["blocks"]}
    assert "mrkdwn" not in json.dumps(posted), "what people write is no markup"
    unsigned = SlackChannel(settings_for(mailbox, slack_url=slack.url, slack_bot_token=SecretStr("xoxb")))
    assert not unsigned.takes_buttons("UBOB")
    assert not channels[0].takes_buttons("CGENERAL"), "a room is no person"


async def test_a_card_in_teams_says_what_to_write_and_carries_nothing_that_decides(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    await add_people(database, "bob", channels=["teams"], language="de")
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    given = {"teams_url": SecretStr(receiver.url), "teams_secrets": (SecretStr(chats.TEAMS_SECRET),)}
    settings = settings_for(mailbox, webhook_allow_loopback=True, **given)
    async with dispatching(
        database, settings, channels=[TeamsChannel(settings)], links=DecisionLinkWriter(SECRET, settings, machine_time)
    ):
        await until(all_are(database, "sent"))
    ((_, body),) = receiver.got
    content = json.loads(body)["attachments"][0]["content"]
    assert [one["type"] for one in content["actions"]] == ["Action.OpenUrl"]
    assert content["actions"][0]["url"] == f"{PLACET}/tasks/r1.1"
    texts = [block["text"] for block in content["body"]]
    assert texts[-2:] == ["approve r1.1 1.1", "reject r1.1 1.1"]
    assert texts[0].startswith("Bob: ")
    assert "token=" not in body.decode()
