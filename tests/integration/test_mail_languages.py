"""Mails in the reader's language, through a real mail server: chosen on the reader's own page, edited by designers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col

from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import defaults
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.dispatching import NOW, add_people, all_are, confirm, dispatching, settings_for, write
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.stored import reading, writing
from tests.waiting import until
from tests.web_desk import browser_of

TEMPLATES = "/workflow/notification-templates/"
OWN = {"subject": "Own words: {{ request.title }}", "text": "See {{ request.url }}", "html": "<p>x</p>"}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    notify = NotifySettings(public_url="https://placet.example.org")
    async with api_desk(database, await no_engine(), seconds=1, notify=notify) as opened:
        yield opened


async def ask(database: Database, request_id: str, *people: str) -> None:
    opened = Story(request_id=request_id).open(*people).recording()
    await write(database, opened)
    await confirm(database, opened)


async def planned(database: Database, number: int) -> bool:
    with reading(database) as session:
        return sum(delivery_queue.counts(session.connection()).values()) == number


async def test_each_reader_gets_a_mail_in_their_own_language(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "rita")
    await add_people(database, "greta", language="de", timezone="Europe/Berlin")
    await ask(database, "r1", "bob", "greta")
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    by_person = {mail.to[0]: mail for mail in mailbox.mails()}
    german, english = by_person["greta@example.org"], by_person["bob@example.org"]
    assert (german.headers["Content-Language"], english.headers["Content-Language"]) == ("de", "en")
    assert german.subject == "Bitte entscheiden Sie: Grüße 😀"
    assert "Rita bittet um Ihre Entscheidung über „Grüße 😀“" in german.text
    assert '<html lang="de">' in german.html
    assert english.subject == "Your decision, please: Grüße 😀"


async def test_people_without_a_language_get_the_installations(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "rita")
    await add_people(database, "eve", language="en")
    await ask(database, "r1", "bob", "eve")
    async with dispatching(database, settings_for(mailbox, notify_language="de")):
        await until(all_are(database, "sent"))
    found = {mail.to[0]: mail.headers["Content-Language"] for mail in mailbox.mails()}
    assert found == {"bob@example.org": "de", "eve@example.org": "en"}


async def test_a_digest_is_german_with_all_that_it_holds(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "rita")
    await add_people(database, "greta", language="de", digest={"at": ["08:00"]}, urgent=[])
    for number in (1, 2):
        await ask(database, f"r{number}", "greta")
    async with dispatching(database, settings_for(mailbox)):
        await until(lambda: planned(database, 2))
    with writing(database) as session:
        session.execute(update(NotificationMessage).where(col(NotificationMessage.digest)).values(next_attempt_at=NOW))
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    (mail,) = mailbox.mails()
    assert mail.subject == "2 Nachrichten von Placet"
    assert mail.headers["Content-Language"] == "de"
    assert mail.text.count("Bitte entscheiden Sie: Grüße") == 2
    assert "Your decision" not in mail.text + mail.html


async def test_the_language_that_somebody_chooses_on_their_page_is_that_of_their_next_mail(
    desk: ApiDesk, mailbox: FaultyMailbox
) -> None:
    async with browser_of(desk, "bob") as bob:
        for number, language in enumerate(("en", "de"), start=1):
            answer = await bob.post("/me/reading", {"language": language})
            assert answer.status_code == 303, answer.text
            await ask(desk.database, f"r{number}", "bob")
            async with dispatching(desk.database, settings_for(mailbox)):
                await until(all_are(desk.database, "sent"))
            assert mailbox.mails()[-1].headers["Content-Language"] == language


async def test_designers_edit_the_templates_of_each_language_apart(desk: ApiDesk, mailbox: FaultyMailbox) -> None:
    shipped = (await desk.get(f"{TEMPLATES}task_opened/?language=de", as_="desi")).json()
    assert shipped["subject"].startswith("Bitte entscheiden Sie")
    listed = (await desk.get(f"{TEMPLATES}?language=de&limit=50", as_="desi")).json()["items"]
    assert {one["name"]: one["text"] for one in listed} == {n: s.text for n, s in defaults("de").items()}
    assert (await desk.get(f"{TEMPLATES}?language=fr", as_="desi")).status_code == 422

    german = f"{TEMPLATES}task_opened/?language=de"
    edited = await desk.call("PUT", german, body=OWN | {"subject": "Eigenes"}, as_="desi")
    assert (edited.status_code, edited.json()["version"]) == (200, 1)
    there = (await desk.get(f"{TEMPLATES}task_opened/", as_="desi")).json()
    assert (there["version"], there["versions"]) == (0, [])
    shown = await desk.post(f"{TEMPLATES}task_opened/preview/?language=de", {}, as_="desi")
    assert (shown.json()["subject"], "Guten Tag" in shown.json()["text"]) == ("Eigenes", True)

    # German alone: everybody gets it, as one message is in one language.
    await add_people(desk.database, "greta", language="de")
    await ask(desk.database, "r1", "bob", "greta")
    async with dispatching(desk.database, settings_for(mailbox)):
        await until(all_are(desk.database, "sent"))
    assert [mail.subject for mail in mailbox.mails()] == ["Eigenes", "Eigenes"]

    english = await desk.call("PUT", f"{TEMPLATES}task_opened/", body=OWN, as_="desi")
    assert english.json()["version"] == 2
    await ask(desk.database, "r2", "bob", "greta")
    async with dispatching(desk.database, settings_for(mailbox)):
        await until(all_are(desk.database, "sent"))
    newest = {mail.to[0]: mail.subject for mail in mailbox.mails()[2:]}
    assert newest["greta@example.org"] == "Eigenes"
    assert [s for to, s in newest.items() if not to.startswith("greta")] == ["Own words: Grüße 😀"]

    refused = await desk.call("PUT", german, body={"restore": 2}, as_="desi")
    assert refused.status_code == 404, "an English version is none of the German template"
    restored = (await desk.call("PUT", german, body={"restore": 0}, as_="desi")).json()
    assert (restored["version"], restored["subject"]) == (0, shipped["subject"])
