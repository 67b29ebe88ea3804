"""Look at the malware scanner: it is asked for its version."""

from __future__ import annotations

from cli.checkup.check import Finding, Unseen
from service.attachments.scanner import Scanner
from worker.settings import Settings


async def scanner(settings: Settings) -> Finding:
    """Whether the malware scanner answers; raises Unavailable."""
    if settings.clamd_url is None:
        return Unseen(why="PLACET_CLAMD_URL is not set; attached files are not scanned")
    return await Scanner(settings.clamd_url).greet()
