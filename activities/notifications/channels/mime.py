"""Mails as bytes, written into a frame that is prepared once for each sender.

The email package builds a tree of objects for each mail, draws a boundary at random and searches the parts for it. It
writes here what is rare: headers and addresses beyond ASCII.
"""

from __future__ import annotations

import email
import re
from binascii import b2a_qp
from datetime import UTC, datetime
from email.charset import Charset
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from urllib.parse import quote

from activities.notifications.channels.channel import Message

# No part holds it: quoted-printable writes an equals sign of the text as `=3D`, and none of its own before `_`.
_BOUNDARY = b"=_alternative"
_PART = (
    b'\r\n--%s\r\nContent-Type: text/%s; charset="utf-8"\r\nMIME-Version: 1.0\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_LINE_END = re.compile("\r\n|\r|\n")
_LONGEST_PLAIN = 300  # characters of a header in one line; a line of a mail may have 998
_UTF8 = Charset("utf-8")


class MailWriter:
    """Writes the mails of one sender: text and HTML, the same id in every attempt, and one thread for each request."""

    def __init__(self, mail_from: str) -> None:
        """Prepare the frame; raises ValueError or HeaderParseError for an invalid sender."""
        name, self.sender = parseaddr(mail_from)
        self._domain = self.sender.rpartition("@")[2] or "localhost"
        self._start = (
            f'Content-Type: multipart/alternative; boundary="{_BOUNDARY.decode()}"\r\nMIME-Version: 1.0\r\n'
            f"From: {_mailbox(name, self.sender, 'From')}\r\nAuto-Submitted: auto-generated\r\n"
        )
        self._text, self._html = _PART % (_BOUNDARY, b"plain"), _PART % (_BOUNDARY, b"html")
        self._end = b"\r\n--%s--\r\n" % _BOUNDARY

    def write(self, message: Message) -> bytes:
        """Write a mail in ASCII; raises ValueError or HeaderParseError for an invalid address.

        An address beyond ASCII is left out: see `international`.
        """
        address = message.address or ""
        to = f"To: {_mailbox(message.name, address, 'To')}\r\n" if address.isascii() else ""
        thread = f"<request-{_id(message.request_id)}@{self._domain}>"  # mail programs read one header or the other
        importance = "Importance: high\r\n" if message.urgent else ""
        headers = (
            f"{self._start}{to}Subject: {_header(message.subject, 'Subject')}\r\n"
            f"Date: {format_datetime(datetime.now(UTC))}\r\nMessage-ID: <{_id(message.id)}@{self._domain}>\r\n"
            f"In-Reply-To: {thread}\r\nReferences: {thread}\r\n"
            f"Content-Language: {message.language}\r\n"
            f"X-Placet-Event: {_header(message.event, 'X-Placet-Event')}\r\n"
            f"X-Placet-Request: {_header(message.request_id, 'X-Placet-Request')}\r\n{importance}"
        ).encode("ascii")
        text, html = _body(message.text), _body(message.html)
        return b"".join((headers, self._text, text, self._html, html, self._end))


def international(mail: bytes, name: str, address: str) -> EmailMessage:
    """Return the mail with an address beyond ASCII; raises ValueError or HeaderParseError for an invalid one."""
    whole = email.message_from_bytes(mail, policy=SMTP_POLICY)
    checked = _checked(address)
    whole["To"] = Address(" ".join(name.split()), checked.username, checked.domain)
    return whole


@lru_cache(maxsize=1024)
def _mailbox(name: str, address: str, header: str) -> str:
    """Return name and address for a header."""
    spec, plain = _checked(address).addr_spec, " ".join(name.split())
    if _is_plain(plain):
        return formataddr((plain, spec))
    spec.encode("ascii")
    return f"{_encoded(plain, header)}\r\n <{spec}>"


def _checked(address: str) -> Address:
    before, _, after = address.rpartition("@")
    if not before or not after:  # on which the email package fails with another error
        raise ValueError("a mail address needs text on both sides of the @")
    if not address.isprintable():
        raise ValueError("a mail address has no control characters")
    return Address(addr_spec=address)


def _header(text: str, name: str) -> str:
    """Return a text in one line for a header, with encoded words where it is not plain."""
    plain = " ".join(text.split())
    return plain if _is_plain(plain) else _encoded(plain, name)


def _is_plain(text: str) -> bool:
    """Tell whether a header may hold a text as it is: it is printable, short, and nobody would decode it."""
    return text.isascii() and text.isprintable() and "=?" not in text and len(text) <= _LONGEST_PLAIN


def _encoded(text: str, header: str) -> str:
    return Header(text, _UTF8, header_name=header).encode(linesep="\r\n")


def _id(text: str) -> str:
    return quote(text, safe="")


def _body(text: str) -> bytes:
    """Return a text as quoted-printable: lines of at most 76 characters, and none of a dot alone."""
    return b2a_qp(_LINE_END.sub("\n", text).encode("utf-8", "replace")).replace(b"\n", b"\r\n")
