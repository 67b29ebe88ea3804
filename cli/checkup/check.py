"""One check of `placet doctor`: what was found, whether that is well, and what to do where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from placet.errors import PlacetError

SECONDS = 15.0
"""How long one check may take."""

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one check has found. `remedy` says what to do and `docs` where that is explained, where it failed."""

    name: str
    status: Status
    found: str
    remedy: str | None = None
    docs: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong by what can be seen from here."""
        return self.status != "failed"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A look has found a fault; `remedy` replaces the usual one of its check."""

    found: str
    remedy: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A look is not possible from here, and why."""

    why: str


Finding = str | Bad | Unseen
"""What a look returns: in words what is well, what is wrong, or why it cannot be told."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A check that is to be made: its name, where the docs explain it, and what to do where it fails."""

    name: str
    docs: str
    remedy: str
    see: Callable[[], Awaitable[Finding]]

    async def check(self) -> Check:
        """Make the check. What it raises of Placet's and of the system's errors is a fault that it found."""
        try:
            async with asyncio.timeout(SECONDS):
                finding = await self.see()
        except TimeoutError:
            finding = Bad(found=f"no answer within {SECONDS:.0f} seconds")
        except PlacetError as error:
            finding = Bad(found=error.message)
        except OSError as error:
            finding = Bad(found=f"{error.filename}: {error.strerror}" if error.filename else str(error))
        if isinstance(finding, Bad):
            remedy = finding.remedy or self.remedy
            return Check(name=self.name, status="failed", found=finding.found, remedy=remedy, docs=self.docs)
        if isinstance(finding, Unseen):
            return Check(name=self.name, status="skipped", found=finding.why)
        return Check(name=self.name, status="ok", found=finding)

    def skipped(self, why: str) -> Check:
        """Return that the check was not made, and why."""
        return Check(name=self.name, status="skipped", found=why)


async def checked(looks: Sequence[Look]) -> list[Check]:
    """Make checks of which all need what the first one looks at: where that is away, the others are not made."""
    first, *others = looks
    found = await first.check()
    if found.status != "ok":
        return [found, *(look.skipped(f"see {first.name}") for look in others)]
    return [found, *[await look.check() for look in others]]
