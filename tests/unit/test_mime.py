"""Mails as bytes: the email package's parser reads in them what was to be written, whatever people wrote."""

from __future__ import annotations

import email
import email.errors
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activities.notifications.channels.channel import Message
from activities.notifications.channels.mime import MailWriter, international

WRITER = MailWriter('"Placet, Büro" <placet@example.org>')
# What a mail is made of and what could end a part of it early: line ends, boundaries, encoded words, dots, quotes.
PIECES = (
    "\r\n",
    "\n",
    "\r",
    "\n.\n",
    "\x00",
    "\x0b",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\t",
    "  ",
    "=",
    "=?utf-8?q?a?=",
    "\r\nBcc: eve@example.org",
    "\n\n--=_alternative--\n",
    "--=_alternative",
    '"',
    "\\",
    "<eve@example.org>",
    ", ",
    "Grüße",
    "例え" * 40,
    "😀",
    "a" * 1_200,
    "word " * 60,
    "From ",
)
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(st.characters(codec="utf-8"), max_size=30))).map("".join)
HEADERS = [
    "Content-Type",
    "MIME-Version",
    "From",
    "Auto-Submitted",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Content-Language",
    "X-Placet-Event",
    "X-Placet-Request",
]


def message(**changes: Any) -> Message:
    plain: dict[str, Any] = {
        "id": "a" * 40,
        "person": "grace",
        "name": "Grace",
        "address": "grace@example.org",
        "subject": "Your decision, please",
        "text": "Please decide.\n",
        "html": "<p>Please decide.</p>\n",
        "url": None,
        "event": "task_opened",
        "request_id": "r1",
    }
    return Message(**(plain | changes))


def parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=SMTP)


def lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text)


@given(subject=TEXT, name=TEXT, text=TEXT, html=TEXT, event=TEXT, request_id=st.text(max_size=60), urgent=st.booleans())
@example(subject="", name="", text="", html="", event="", request_id="", urgent=True)
def test_a_mail_is_parsed_as_it_was_meant(
    subject: str, name: str, text: str, html: str, event: str, request_id: str, urgent: bool
) -> None:
    given_ = message(
        subject=subject, name=name, text=text, html=html, event=event, request_id=request_id, urgent=urgent
    )
    content = WRITER.write(given_)
    mail = parsed(content)
    assert mail.keys() == HEADERS + (["Importance"] if urgent else [])
    assert mail["Subject"] == one_line(subject)
    assert mail["X-Placet-Event"] == one_line(event)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    for part, meant in zip(mail.iter_parts(), (text, html), strict=True):
        assert isinstance(part, EmailMessage)
        assert lines(part.get_content()) == lines(meant)
        assert not part.defects
    assert not mail.defects
    assert_fit_for_smtp(content)


@given(name=TEXT)
def test_a_name_is_only_a_name(name: str) -> None:
    (to,) = parsed(WRITER.write(message(name=name)))["To"].addresses
    assert to.addr_spec == "grace@example.org"
    # The parser of Python 3.11 keeps the space between encoded words of a name; it means nothing (RFC 2047, 6.2).
    assert "".join(to.display_name.split()) == "".join(name.split())


@given(address=TEXT | st.emails())
def test_an_address_is_written_as_one_or_refused(address: str) -> None:
    try:
        content = WRITER.write(message(address=address))
        mail = parsed(content)
        if not address.isascii():
            mail = international(content, "Grâce", address)
    except ValueError:
        return
    except email.errors.HeaderParseError:
        return
    assert [one.addr_spec for one in mail["To"].addresses] == [address]
    assert "Bcc" not in mail
    assert_fit_for_smtp(content)


def assert_fit_for_smtp(content: bytes) -> None:
    """No bare CR or LF, seven bits, and lines that every server takes."""
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert content.isascii()
    assert b"\0" not in content
    assert max(map(len, content.split(b"\r\n"))) <= 998


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_all_mails_about_a_request_are_one_thread_and_each_attempt_has_the_same_id() -> None:
    mail = parsed(WRITER.write(message()))
    assert mail["Message-ID"] == f"<{'a' * 40}@example.org>"
    assert (mail["In-Reply-To"], mail["References"]) == ("<request-r1@example.org>",) * 2
    assert mail["X-Placet-Request"] == "r1"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(mail["Date"]).tzinfo is not None
    assert [str(one) for one in mail["From"].addresses] == ['"Placet, Büro" <placet@example.org>']


@pytest.mark.parametrize("sender", ["Placet", "placet@", "a b@example.org", "Placet <plácet@example.org>"])
def test_a_sender_without_an_address_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises((ValueError, email.errors.HeaderParseError)):
        MailWriter(sender)
