"""Which messages carry links that decide: those that ask one person alone, over a channel that nobody else reads."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import update

from activities.decision_tokens import LinkClaims, LinkTokens
from activities.notifications.channels.chat import LONGEST, ChatChannel
from activities.notifications.channels.mailbox import Mail
from activities.notifications.decision_links import DecisionLinkWriter
from storage.database import Database
from storage.tables.approvals import Delivery, Outbox
from storage.tables.notifications import NotificationMessage
from tests.clocks import machine_time
from tests.dispatching import add_people, all_are, confirm, dispatching, settings_for, write
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.receiver import Receiver
from tests.stored import reading, writing
from tests.waiting import PATIENCE, until

SECRET = "a secret for the tests alone"
LINK = re.compile(r"https://placet\.example\.org/decide\?token=([\w.-]+)")


def claims_in(text: str) -> list[LinkClaims | None]:
    return [LinkTokens(SECRET, machine_time).read(token) for token in LINK.findall(text)]


def _subject(mail: Mail) -> str:
    return mail.subject


async def told(database: Database) -> None:
    """Ask bob for a decision, and tell both him and rita that the deadline has passed."""
    await add_people(database, "bob", "rita")
    opened = Story(request_id="r1").open("bob")
    late = opened.breach()
    late = late._tell("sla_breached", "bob", late.tasks[0])
    await write(database, opened.recording(), late.recording())
    await confirm(database, late.recording())


async def test_a_mail_that_asks_carries_links_for_its_person_and_the_task_as_it_is(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await told(database)
    settings = settings_for(mailbox)
    async with dispatching(database, settings, links=DecisionLinkWriter(SECRET, settings, machine_time)):
        await until(all_are(database, "sent"))
    asking, late = sorted((mail for mail in mailbox.mails() if mail.to[0] == "bob@example.org"), key=_subject)[::-1]
    (other,) = (mail for mail in mailbox.mails() if mail.to[0] == "rita@example.org")
    signed = [(c.person, c.task_id, c.round, c.hand_overs, c.revision, c.decision) for c in claims_in(asking.text) if c]
    assert signed == [("bob", "r1.1", 1, 0, 1, "approve"), ("bob", "r1.1", 1, 0, 1, "reject")]
    tokens = LINK.findall(asking.text)
    assert tokens == LINK.findall(asking.html)
    assert 'href="https://placet.example.org/tasks/r1.1"' in asking.html
    assert [claim.person for claim in claims_in(late.text) if claim] == ["bob", "bob"], "he can still decide"
    assert LINK.findall(other.text) == []
    with reading(database) as session:
        stored = [row for table in (Outbox, NotificationMessage, Delivery) for row in session.query(table).all()]
    assert stored
    assert not any(token in str(row.model_dump()) for token in tokens for row in stored), "a link is stored nowhere"


async def test_no_mail_carries_links_where_they_are_off_or_would_be_read_on_the_way(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await told(database)
    off = settings_for(mailbox, decision_links="off")
    plain = settings_for(mailbox, public_url="http://placet.example.org")
    assert DecisionLinkWriter(SECRET, plain, machine_time).links("bob", {}, None) == {}
    async with dispatching(database, off, links=DecisionLinkWriter(SECRET, off, machine_time)):
        await until(all_are(database, "sent"))
    assert not any("/decide" in mail.text + mail.html for mail in mailbox.mails())
    assert any("https://placet.example.org/tasks/r1.1" in mail.text for mail in mailbox.mails())


async def test_a_chat_carries_whole_links_to_one_person_and_none_into_a_common_room(
    database: Database, mailbox: FaultyMailbox, receiver: Receiver
) -> None:
    await add_people(database, "bob", channels=["chat"], addresses={"chat": "room/bob"})
    await add_people(database, "max", channels=["chat"])
    opened = Story(request_id="r1").open("bob", "max").recording()
    await write(database, opened)
    await confirm(database, opened)
    settings = settings_for(mailbox)
    there = receiver.url.replace("http://", "json://")
    chat = ChatChannel("chat", [SecretStr(there + "/{address}")], timeout=PATIENCE / 2)
    assert chat.takes_links("room/bob")
    assert not chat.takes_links(None)
    assert not ChatChannel("chat", [SecretStr(there + "/{address}"), SecretStr(there)], timeout=1).takes_links("bob")
    assert not ChatChannel("sms", [SecretStr(there + "/{address}")], timeout=1).takes_links("+4912345")
    async with dispatching(
        database, settings, channels=[chat], links=DecisionLinkWriter(SECRET, settings, machine_time)
    ):
        await until(all_are(database, "sent", "failed"))
    (message,) = [json.loads(body)["message"] for _, body in receiver.got]
    assert [claim.decision for claim in claims_in(message) if claim] == ["approve", "reject"]
    assert message.endswith("https://placet.example.org/requests/r1")
    assert len(message) <= LONGEST


async def test_a_digest_carries_the_links_of_each_task(database: Database, mailbox: FaultyMailbox) -> None:
    later = datetime.now(UTC) + timedelta(hours=12)  # whenever this runs, it is hours until then
    await add_people(database, "bob", digest={"at": [f"{later:%H:%M}"]})
    first, second = (Story(request_id=request).open("bob").recording() for request in ("r1", "r2"))
    await write(database, first, second)
    await confirm(database, first)
    await confirm(database, second)
    settings = settings_for(mailbox)
    async with dispatching(database, settings, links=DecisionLinkWriter(SECRET, settings, machine_time)):

        async def planned() -> bool:
            with reading(database) as session:
                return session.query(NotificationMessage).count() == 2

        await until(planned)
        with writing(database) as session:
            session.execute(update(NotificationMessage).values(next_attempt_at=datetime.now(UTC)))
        await until(all_are(database, "sent"))
    (mail,) = mailbox.mails()
    assert sorted({claim.task_id for claim in claims_in(mail.text) if claim}) == ["r1.1", "r2.1"]
    assert sorted(LINK.findall(mail.text)) == sorted(LINK.findall(mail.html))
