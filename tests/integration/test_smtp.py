"""Mails as a real SMTP server gets them: what people wrote arrives as they wrote it, and stays in its place."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from activities.notifications.channels import mailbox as mailboxes
from activities.notifications.channels.channel import Message, NotDelivered
from activities.notifications.channels.mailbox import Mail, Mailbox
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.settings import NotifySettings
from cli.pages.mailbox import mailroom
from tests.dispatching import settings_for
from tests.mailbox import FaultyMailbox

LONG = "Überweisung über 12.000 € für die Messe in Köln, bitte prüfen, " * 3


@pytest_asyncio.fixture
async def channel(mailbox: FaultyMailbox) -> AsyncIterator[SmtpChannel]:
    opened = SmtpChannel(settings_for(mailbox))
    yield opened
    await opened.close()


def message(**changes: object) -> Message:
    plain: dict[str, object] = {
        "id": "a" * 40,
        "person": "grace",
        "name": "Grace",
        "address": "grace@example.org",
        "subject": "Your decision, please",
        "text": "Please decide.\n",
        "html": "<p>Please decide.</p>\n",
        "url": "http://127.0.0.1/requests/r1",
        "event": "task_opened",
        "request_id": "r1",
        "urgent": False,
    }
    return Message(**(plain | changes))  # type: ignore[arg-type]  # the fields of a message, each of its own type


async def arrived(channel: SmtpChannel, mailbox: FaultyMailbox, sent: Message) -> Mail:
    await channel.send(sent)
    return mailbox.mails()[-1]


@pytest.mark.parametrize(
    ("name", "subject", "text"),
    [
        ("Grace", "Your decision, please", "Please decide.\n"),
        ("Hopper, Grace (“Amazing”)", LONG.strip(), LONG + "\n"),  # longer than a line may be, and not ASCII
        ("Grace", "a" * 200, "." * 2000 + "\n.\n.. dots\n"),  # a line of one dot ends a mail unless it is stuffed
        ("Grace", "=?utf-8?q?not_encoded?= by us", "=20 stays\n"),
    ],
)
async def test_what_a_mail_says_arrives_as_it_was_written(
    channel: SmtpChannel, mailbox: FaultyMailbox, name: str, subject: str, text: str
) -> None:
    mail = await arrived(channel, mailbox, message(name=name, subject=subject, text=text, html=f"<p>{text}</p>\n"))
    assert mail.text == text
    assert mail.html == f"<p>{text}</p>\n"
    assert mail.subject == subject
    assert mail.to == ("grace@example.org",)


async def test_a_line_break_in_a_name_or_subject_adds_no_header(channel: SmtpChannel, mailbox: FaultyMailbox) -> None:
    sent = message(name="Grace\r\nBcc: eve@example.org", subject="Hello\r\nX-Evil: yes\n\nbody")
    mail = await arrived(channel, mailbox, sent)
    assert {"Bcc", "X-Evil"}.isdisjoint(mail.headers)
    assert mail.subject == "Hello X-Evil: yes body"
    assert mail.text == "Please decide.\n"


@pytest.mark.parametrize("address", ["grace@münchen.example", "grace@例え.example"])
async def test_an_address_beyond_ascii_is_written_to(
    channel: SmtpChannel, mailbox: FaultyMailbox, address: str
) -> None:
    mail = await arrived(channel, mailbox, message(address=address, name="Grâce", subject=LONG.strip()))
    assert mail.to == (address,)
    assert mail.headers["To"] == f"Grâce <{address}>"
    assert mail.subject == LONG.strip()
    assert mail.text == "Please decide.\n"


@pytest.mark.parametrize("address", ["", "grace", "grace@", "a b@example.org", "grace@example.org\r\nBcc: eve@x.org"])
async def test_what_is_no_address_fails_for_good(channel: SmtpChannel, mailbox: FaultyMailbox, address: str) -> None:
    with pytest.raises(NotDelivered) as caught:
        await channel.send(message(address=address))
    assert caught.value.permanent
    assert mailbox.mails() == []


async def test_a_mailbox_with_a_folder_has_the_newest_mails_of_earlier_runs(tmp_path: Path) -> None:
    folder = tmp_path / "mailbox"
    for run in range(2):
        async with Mailbox(most=3, folder=folder) as box:
            channel = SmtpChannel(NotifySettings(smtp_host=box.host, smtp_port=box.port, smtp_tls="none"))
            for number in range(2):
                await channel.send(message(subject=f"Grüße {run}.{number}"))
            await channel.close()
    (folder / "000000009.eml").write_text("something else")
    async with Mailbox(most=3, folder=folder) as box:
        mails = box.mails()
        assert [(mail.number, mail.subject) for mail in mails] == [(2, "Grüße 0.1"), (3, "Grüße 1.0"), (4, "Grüße 1.1")]
        assert {mail.to for mail in mails} == {("grace@example.org",)}
        assert mails[0].text == "Please decide.\n"
        box.clear()
    assert [file.name for file in folder.iterdir()] == ["000000009.eml"]
    assert not folder.stat().st_mode & 0o077


async def test_a_page_of_the_mailbox_reads_no_more_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    parse = mailboxes._mail

    def noted(kept: Any) -> Mail:
        parsed.append(kept.number)
        return parse(kept)

    monkeypatch.setattr(mailboxes, "_mail", noted)
    async with Mailbox() as box:
        channel = SmtpChannel(NotifySettings(smtp_host=box.host, smtp_port=box.port, smtp_tls="none"))
        for number in range(3):
            await channel.send(message(subject=f"Grüße {number}"))
        await channel.close()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=mailroom(box)), base_url="http://mailbox"
        ) as http:
            everything = (await http.get("/")).text
            assert parsed == []
            assert re.findall(r'<a href="/(\d)">(Grüße \d)</a>', everything) == [
                ("3", "Grüße 2"),
                ("2", "Grüße 1"),
                ("1", "Grüße 0"),
            ]
            assert "Grüße 1" in (await http.get("/2")).text
            assert parsed == [2]
            assert (await http.get("/4")).status_code == 404
