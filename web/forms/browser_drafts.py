"""What somebody types into a form stays in their browser until it is sent; here is what it is sealed with.

The browser's storage holds it encrypted. The key is in the pages of its person alone, which no cache keeps.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserDraft:
    """The name under which a form's texts are kept in the browser, and the key that they are encrypted with."""

    name: str
    key: str


def browser_draft(secret: str, person: str, form: str) -> BrowserDraft:
    """Return where a person's browser keeps the texts of a form, and the key, which is theirs on every device."""

    def derived(label: str) -> bytes:
        return hmac.new(secret.encode(), f"browser-draft:{label}:{person}:{form}".encode(), hashlib.sha256).digest()

    return BrowserDraft(name=derived("name").hex()[:32], key=base64.b64encode(derived("key")).decode())
