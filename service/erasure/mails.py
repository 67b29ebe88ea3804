"""Delete the mails of the local mailbox that went to a person, or that are about what is erased."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from activities.notifications.channels.mailbox import Mail, delete_mails

FOLDER: Final = "mailbox"


async def delete_mails_about(home: Path, digest: str | None, requests: Sequence[str]) -> int:
    """Delete mails to the address with this digest, and those that name one of these requests; return how many."""
    return await asyncio.to_thread(_delete, home / FOLDER, digest, requests)


def digest_of(address: str) -> str:
    """Return the digest of a mail address, by which it is recognised without being kept."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()


def _delete(folder: Path, digest: str | None, requests: Sequence[str]) -> int:
    named = set(requests)

    def chosen(mail: Mail) -> bool:
        if digest is not None and any(digest_of(to) == digest for to in mail.to):
            return True
        said = f"{mail.text}\n{mail.html}\n{mail.message_id}"
        return any(name in said for name in named)

    return delete_mails(folder, chosen)
