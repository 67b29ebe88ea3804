"""The malware scanner: what it finds is refused, and what it has not seen is not let through."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cli.checkup.check import Unseen
from cli.checkup.scanner import scanner as check
from placet.errors import InputInvalid, TooLarge, Unavailable
from service.attachments.scanner import Scanner
from service.principal import Principal
from tests.clamd import EICAR, Clamd, clamd
from worker.settings import CLAMD, Settings

ANN = Principal(person="ann", access=frozenset({"requester"}))
LONG = b"%PDF-1.7 " * 100_000  # of several pieces


@pytest.mark.parametrize("by_socket", [False, True])
async def test_a_clean_file_is_let_through_whole_and_one_with_malware_is_refused(
    by_socket: bool, tmp_path: Path
) -> None:
    there = Clamd()
    async with clamd(there, tmp_path / "clamd.ctl" if by_socket else None) as place:
        file = BytesIO(LONG)
        await Scanner(place).require_clean("offer.pdf", file, ANN)
        assert file.read() == LONG == there.seen[0]
        with capture_logs() as logged, pytest.raises(InputInvalid, match="Eicar-Test-Signature") as refused:
            await Scanner(place).require_clean("offer.pdf", BytesIO(LONG[:300_000] + EICAR), ANN)
    assert refused.value.problems[0].pointer == "/file"
    assert [(line["event"], line["person"], line["found"]) for line in logged] == [
        ("malware_found", "ann", "Eicar-Test-Signature")
    ]


async def test_a_file_that_is_too_large_to_scan_is_refused() -> None:
    async with clamd(Clamd(most=1000)) as place:
        with pytest.raises(TooLarge, match="malware scanner"):
            await Scanner(place).require_clean("big.pdf", BytesIO(LONG), ANN)


@pytest.mark.parametrize(
    "answer",
    [b"", b"stream: ", b"stream: lstat() failed: ERROR\0", b"\0", b"x" * 10_000, b"stream: OK, or not\0"],
)
async def test_a_scanner_that_is_away_or_breaks_off_lets_nothing_through(answer: bytes) -> None:
    async with clamd(Clamd(answer=answer)) as place:
        with pytest.raises(Unavailable, match="does not answer as it should"):
            await Scanner(place).require_clean("offer.pdf", BytesIO(b"%PDF"), ANN)
    with pytest.raises(Unavailable) as gone:
        await Scanner(place).require_clean("offer.pdf", BytesIO(b"%PDF"), ANN)
    assert "127.0.0.1" not in gone.value.message, "where it is, is for admins"


async def test_a_scanner_that_says_nothing_is_left_after_the_time() -> None:
    async with clamd(Clamd(silent=True)) as place:
        with pytest.raises(Unavailable, match="does not answer"):
            await Scanner(place, seconds=0.1).require_clean("offer.pdf", BytesIO(b"%PDF"), ANN)


async def test_without_a_scanner_nothing_is_asked() -> None:
    await Scanner("").require_clean("offer.pdf", BytesIO(EICAR), ANN)


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("unix:/run/clamav/clamd.ctl", True),
        ("tcp://clamd:3310", True),
        ("tcp://[::1]:3310", True),
        ("clamd:3310", False),
        ("tcp://clamd", False),
        ("tcp://clamd:3310/path", False),
        ("unix:clamd.ctl", False),
    ],
)
def test_a_scanner_is_named_by_a_socket_or_by_host_and_port(place: str, taken: bool) -> None:
    assert (re.match(CLAMD, place) is not None) is taken


async def test_the_checkup_asks_the_scanner_for_its_version(tmp_path: Path) -> None:
    assert isinstance(await check(Settings(home=tmp_path)), Unseen)
    async with clamd(Clamd()) as place:
        assert await check(Settings(home=tmp_path, clamd_url=place)) == "ClamAV 1.4.0"
    with pytest.raises(Unavailable):
        await check(Settings(home=tmp_path, clamd_url=place))
