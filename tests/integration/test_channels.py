"""Webhooks, chat, digests, preferences and edited templates, each over its real protocol."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from standardwebhooks import Webhook

from activities.http_client.client import AddressRefused
from activities.notifications.channels.chat import ChatChannel
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.channels.webhook_secrets import SecretMissing, WebhookSecrets
from activities.notifications.delivery.webhook_feed import check_endpoint
from activities.notifications.settings import NotifySettings
from activities.notifications.templates.sandbox import TemplateBroken
from activities.notifications.templates.template_set import TemplateSource, default
from service.administration import notification_templates
from service.principal import Principal
from storage.database import Database
from storage.queries.notifications import delivery_queue, webhooks
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from tests.dispatching import add_people, all_are, confirm, dispatching, entries, settings_for, soon, states, write
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.receiver import Receiver
from tests.stored import reading, writing
from tests.waiting import PATIENCE, until

ADA = Principal(person="ada", access=frozenset({"admin"}))
SECRETS = WebhookSecrets("the installation's secret", NotifySettings())


async def add_endpoint(database: Database, url: str, *events: str) -> WebhookEndpoint:
    with writing(database) as session:
        return webhooks.add(session.connection(), url=url, events=events, by=ADA.person, now=datetime.now(UTC))


async def hook_messages(database: Database) -> list[NotificationMessage]:
    with reading(database) as session:
        return [m for m in delivery_queue.messages(session.connection(), "r1") if m.person is None]


async def test_every_event_that_history_holds_is_posted_once_and_signed(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    endpoint = await add_endpoint(database, receiver.url)
    picky = await add_endpoint(database, receiver.url + "?only", "completed")
    opened = Story(request_id="r1").open("bob")
    ended = opened.decide()
    await write(database, opened.recording(), ended.recording())

    async def engine(_request_id: str) -> tuple[int, str]:
        return ended.seq, ended.head

    settings = settings_for(mailbox, webhook_allow_loopback=True)
    both = (dispatching(database, settings, confirm=engine, secrets=SECRETS) for _ in range(2))
    async with next(both), next(both):
        await until(lambda: soon(len(receiver.got) >= 5))
        await until(_finished(database, 5))
    assert len(receiver.got) == 5
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 5
    types = []
    for headers, body in receiver.got:
        try:
            signed = Webhook(SECRETS.get("derived:1", endpoint.id).get_secret_value()).verify(body, headers)
        except Exception:
            signed = Webhook(SECRETS.get("derived:1", picky.id).get_secret_value()).verify(body, headers)
            assert signed["type"] == "request.completed"
        types.append(signed["type"])
        assert signed["data"]["request"]["id"] == "r1"
    assert sorted(types) == [
        "request.completed",
        "request.completed",
        "request.decided",
        "request.started",
        "request.task_opened",
    ]


def _finished(database: Database, number: int) -> Any:
    async def ask() -> bool:
        return [m.status for m in await hook_messages(database)] == ["sent"] * number

    return ask


async def test_an_event_that_history_does_not_hold_is_not_posted(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    await add_endpoint(database, receiver.url)
    opened = Story(request_id="r1").open("bob")
    lost = opened.comment("lost")
    kept = opened.moved(timedelta(seconds=30)).comment("kept")
    await write(database, opened.recording(), lost.recording())
    held = [(opened.seq, opened.head)]

    async def engine(_request_id: str) -> tuple[int, str]:
        return held[-1]

    settings = settings_for(mailbox, webhook_allow_loopback=True)
    async with dispatching(database, settings, confirm=engine, secrets=SECRETS):
        await until(lambda: soon(len(receiver.got) == 2))
        await write(database, kept.recording(in_history=True))
        held.append((kept.seq, kept.head))
        await until(lambda: soon(len(receiver.got) == 3))
    bodies = [json.loads(body) for _, body in receiver.got]
    assert [b["data"]["detail"].get("text") for b in bodies if b["type"] == "request.commented"] == ["kept"]


async def test_an_endpoint_that_fails_is_tried_again_and_one_that_is_gone_is_switched_off(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    endpoint = await add_endpoint(database, receiver.url, "started", "task_opened")
    receiver.answer = 500
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    settings = settings_for(mailbox, webhook_allow_loopback=True)
    async with dispatching(database, settings, secrets=SECRETS):
        await until(lambda: soon(len(receiver.got) >= 4))
        receiver.answer = 204
        await until(_finished(database, 2))
        receiver.answer = 410
        later = Story(request_id="r1").open("bob").ask("eve").recording()
        await write(database, later)
        await confirm(database, later)
        await until(_switched_off(database, endpoint.id))
        await until(_given_up(database))
    failed = [d for kind, d in await entries(database) if kind == "notification_failed" and "webhook" in d["channel"]]
    assert [d["why"] for d in failed] == ["the endpoint answered 410 Gone and was switched off"]


def _given_up(database: Database) -> Any:
    async def ask() -> bool:
        return "failed" in {message.status for message in await hook_messages(database)}

    return ask


def _switched_off(database: Database, endpoint_id: str) -> Any:
    async def ask() -> bool:
        with reading(database) as session:
            return not webhooks.get(session.connection(), endpoint_id).active

    return ask


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::127.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",  # NAT64
        "https://[64:ff9b:1:a9fe:a9:fe00::]/x",  # a network's own
        "https://[2002:7f00:1::]/x",  # 6to4
        "https://metadata.google.internal/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1:8443/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "http://8.8.8.8/x",  # public, but not encrypted
        "ftp://example.org/x",
        "https://user:secret@8.8.8.8/x",
        "https:///x",
        "https://localhost/x",
    ],
)
async def test_webhooks_do_not_go_where_they_must_not(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        await check_endpoint(url, "derived:1", "wh_1", SECRETS, NotifySettings())
    assert [p.pointer for p in refused.value.problems] == ["/url"]


@pytest.mark.parametrize("setting", [{"webhook_allow_private": True}, {"webhook_allow_loopback": True}])
async def test_no_setting_opens_addresses_that_hand_out_credentials(setting: dict[str, bool]) -> None:
    settings = NotifySettings(**setting)  # type: ignore[arg-type]  # the flags of the row
    for host in ("169.254.169.254", "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "[fd00:ec2::254]"):
        with pytest.raises(AddressRefused):
            await check_endpoint(f"https://{host}/", "derived:1", "wh_1", SECRETS, settings)
    if "webhook_allow_private" in setting:
        await check_endpoint("https://10.0.0.1/", "derived:1", "wh_1", SECRETS, settings)


@pytest.mark.parametrize("reference", ["env:HOME", "env:PLACET_WEBHOOK_SECRET_UNSET", "file:../passwd", "whsec_x", ""])
def test_a_secret_reference_reads_nothing_but_webhook_secrets(reference: str) -> None:
    with pytest.raises(SecretMissing):
        SECRETS.get(reference, "wh_1")


async def test_chat_gets_a_short_message_and_a_dead_chat_does_not_hold_mail_back(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    await add_people(database, "bob", channels=["mail", "chat"])
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    receiver.answer = 500
    settings = settings_for(mailbox)
    chat = ChatChannel("chat", [SecretStr(receiver.url.replace("http://", "json://"))], timeout=PATIENCE / 2)
    async with dispatching(database, settings, channels=[SmtpChannel(settings), chat]):
        await until(lambda: soon(len(mailbox.mails()) == 1))
        await until(lambda: soon(len(receiver.got) >= 2))
        assert set((await states(database)).values()) == {"ready"}  # the chat is still tried
        receiver.answer = 200
        await until(all_are(database, "sent"))
    said = json.loads(receiver.got[-1][1])
    assert said["title"] == "Your decision, please: Grüße 😀"
    assert said["message"].endswith("https://placet.example.org/requests/r1")
    assert "Rita" not in said["message"]  # nobody of that name is stored; the id stands for them
    assert sorted(detail["channel"] for _, detail in await entries(database)) == ["chat", "mail"]


async def test_a_person_cannot_point_this_server_at_its_own_network(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    own = {"chat": receiver.url.replace("http://", "json://")}
    await add_people(database, "bob", channels=["chat"], addresses=own)
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    chat = ChatChannel("chat", [SecretStr("json://127.0.0.1:1/{address}")], timeout=PATIENCE / 2)
    async with dispatching(database, settings_for(mailbox), channels=[chat]):
        await until(all_are(database, "failed"))
    assert receiver.got == []


async def test_a_digest_is_one_mail_for_many_notices_also_with_two_workers(
    database: Database, mailbox: FaultyMailbox
) -> None:
    later = datetime.now(UTC) + timedelta(hours=12)  # whenever this runs, it is hours until then
    await add_people(database, "bob", digest={"at": [f"{later:%H:%M}"]})
    for n in range(4):
        opened = Story(request_id=f"r{n}").open("bob").recording()
        await write(database, opened)
        await confirm(database, opened)
    settings = settings_for(mailbox)
    async with dispatching(database, settings), dispatching(database, settings):
        await until(_queued(database, 4))
        assert mailbox.mails() == []
        past = datetime.now(UTC) - timedelta(seconds=1)
        with writing(database) as session:
            session.execute(update(NotificationMessage).values(next_attempt_at=past))
        await until(all_are(database, "sent"))
    (mail,) = mailbox.mails()
    assert mail.subject == "4 notifications from Placet"
    assert mail.text.count("Your decision, please") == 4
    assert "https://placet.example.org/requests/r3" in mail.text
    assert [detail["digest_of"] for _, detail in await entries(database)] == [4] * 4


def _queued(database: Database, number: int) -> Any:
    async def ask() -> bool:
        with reading(database) as session:
            return delivery_queue.counts(session.connection()).get(("mail", "pending")) == number

    return ask


async def test_muted_notices_are_dropped_and_unreadable_preferences_lose_nothing(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", muted=["task_opened"])
    await add_people(database, "eve", timezone="Mars/Base")
    opened = Story(request_id="r1").open("bob", "eve").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "dropped"))
    assert [mail.to for mail in mailbox.mails()] == [("eve@example.org",)]


async def test_somebody_unknown_or_without_an_address_fails_for_good_and_says_so(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", addresses={"mail": "no address at all"})
    opened = Story(request_id="r1").open("bob", "nobody").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "failed"))
    reasons = sorted(detail["why"] for _, detail in await entries(database))
    assert reasons == [
        "user:bob has an invalid mail address",
        "user:nobody is not in the directory",
    ]


async def test_without_a_mail_server_notices_fail_with_the_remedy(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob")
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox), channels=[]):
        await until(all_are(database, "failed"))
    ((_, detail),) = await entries(database)
    assert detail["why"] == "mail is not set up: set PLACET_SMTP_HOST"


async def test_an_edited_template_is_sent_and_a_broken_one_falls_back_with_an_entry(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", "eve")
    first = TemplateSource(
        name="task_opened", version=0, subject="New: {{ request.title }}", text="{{ actor }}", html="<p>x</p>"
    )
    made = await notification_templates.edit(database, first, by=ADA, now=datetime.now(UTC))
    assert made.version == 1
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    assert [mail.subject for mail in mailbox.mails()] == ["New: Grüße 😀"]

    # A template that the sample passes may still break on a real request.
    breaking = TemplateSource(name="task_opened", version=0, subject="{{ request.input.reason }}", text="t", html="h")
    await notification_templates.edit(database, breaking, by=ADA, now=datetime.now(UTC))
    with pytest.raises(TemplateBroken):
        await notification_templates.show(database, breaking, settings_for(mailbox), request_id="r1")
    second = Story(request_id="r2").open("eve").recording()
    await write(database, second)
    await confirm(database, second)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    assert mailbox.mails()[-1].subject == "Your decision, please: Grüße 😀"
    details = [detail for _, detail in await entries(database)]
    assert details[0]["template"] == "task_opened/1"
    assert "reason" in details[1]["template_problem"]
    assert [row.version for row in await notification_templates.versions(database, "task_opened")] == [2, 1]
    await notification_templates.restore(database, "task_opened", 0, by=ADA.acted_by, now=datetime.now(UTC))
    assert next(t for t in await notification_templates.templates(database) if t.name == "task_opened") == default(
        "task_opened"
    )
    shown = await notification_templates.show(database, default("task_opened"), settings_for(mailbox), request_id="r1")
    assert shown.subject == "Your decision, please: Grüße 😀"
