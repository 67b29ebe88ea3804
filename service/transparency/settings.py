"""Who else signs the checkpoints of the log: witnesses, and an authority that dates them. Without settings, nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from placet.errors import InputInvalid
from placet.sentences import sentence
from placet.transparency.cosignatures import WitnessKey

MOST_WITNESSES: Final = 16
LARGEST_CERTIFICATES: Final = 200_000
"""Bytes of the file with an authority's certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness by its submission prefix, to which `/add-checkpoint` is added, and the key that it signs with."""

    url: str
    key: WitnessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A timestamp authority (RFC 3161): where it is asked, and the certificates (PEM) that lead to its own."""

    url: str
    certificates: bytes
    every: timedelta
    """After so long, the newest checkpoint is dated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterSettings:
    """Who is asked to sign checkpoints, and how many seconds one answer may take."""

    witnesses: tuple[Witness, ...] = ()
    authority: Authority | None = None
    seconds: float = 10


def witnesses_of(written: str) -> tuple[Witness, ...]:
    """Read `URL KEY, URL KEY, …`; raises InputInvalid that says which one is wrong."""
    found: list[Witness] = []
    for n, one in enumerate((part.split() for part in written.split(",") if part.strip()), 1):
        if len(one) != 2:
            raise InputInvalid(
                sentence("PLACET_LOG_WITNESSES: write witness {n} as URL KEY, and a comma before the next one.", n=n)
            )
        try:
            found.append(Witness(url=_prefix(one[0]), key=WitnessKey.read(one[1])))
        except ValueError as error:
            raise InputInvalid(
                sentence("PLACET_LOG_WITNESSES: witness {n} cannot be used: {why}.", n=n, why=str(error))
            ) from None
    if len(found) > MOST_WITNESSES:
        raise InputInvalid(sentence("PLACET_LOG_WITNESSES: name at most {most} witnesses.", most=MOST_WITNESSES))
    if len({one.key.name for one in found}) < len(found):
        raise InputInvalid("PLACET_LOG_WITNESSES: two witnesses have the same name; each needs its own.")
    return tuple(found)


def certificates_in(file: Path) -> bytes:
    """Return the certificates (PEM) in a file; raises InputInvalid."""
    # The library takes time to load, and only installations with an authority need it.
    from placet.transparency.timestamps import read_certificates

    try:
        with file.open("rb") as opened:
            found = opened.read(LARGEST_CERTIFICATES)
        read_certificates(found)
    except (OSError, ValueError) as error:
        raise InputInvalid(
            sentence("The certificates in {file} cannot be used: {why}.", file=str(file), why=str(error))
        ) from None
    return found


def _prefix(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url[:80]!r} is no address of a server")
    return url.rstrip("/")
