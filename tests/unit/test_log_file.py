"""The log in a file: a day each, for so many days, its owner's only, and one process's."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from cli.checkup import machine
from cli.checkup.check import Bad, Unseen
from cli.terminal.log_file import LogFile, earlier_days, log_file
from cli.terminal.logs import VARIABLE, PassedOn, write_logs
from placet.errors import Conflict, InputInvalid
from worker.settings import Settings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Clock = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Clock:
    def now(moment: datetime) -> None:
        monkeypatch.setattr(time, "time", moment.timestamp)

    now(NOON)
    return now


def of_noon(file: Path) -> Path:
    """Make a file that was last written at noon: the day of a file is that of its last line."""
    file.touch(mode=0o644)
    os.utime(file, (NOON.timestamp(), NOON.timestamp()))
    return file


@pytest.fixture
def opened(tmp_path: Path, at: Clock) -> Iterator[LogFile]:
    file = LogFile(of_noon(tmp_path / "placet.log"), 3)
    yield file
    file.close()


@pytest.fixture
def _restored() -> Iterator[None]:
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.suffix != ".lock")


def test_each_day_has_its_file_and_those_of_earlier_days_are_removed(
    opened: LogFile, at: Clock, tmp_path: Path
) -> None:
    for day in range(6):
        at(NOON + timedelta(days=day))
        opened.write(f"day {day}\n")
    kept = ["placet.log", "placet.log.2026-03-04", "placet.log.2026-03-05", "placet.log.2026-03-06"]
    assert names(tmp_path) == kept
    assert [(tmp_path / name).read_text() for name in kept] == ["day 5\n", "day 2\n", "day 3\n", "day 4\n"]


def test_what_is_old_goes_where_nothing_is_logged_for_days(opened: LogFile, at: Clock, tmp_path: Path) -> None:
    opened.write("the last word\n")
    at(NOON + timedelta(days=3))
    opened.keep_in_time()
    assert (tmp_path / "placet.log.2026-03-02").read_text() == "the last word\n"
    at(NOON + timedelta(days=4))
    opened.keep_in_time()
    assert "placet.log.2026-03-02" not in names(tmp_path)
    assert (tmp_path / "placet.log").read_text() == ""


def test_a_start_goes_on_with_the_file_of_the_day_and_removes_what_became_too_old_meanwhile(
    at: Clock, tmp_path: Path
) -> None:
    file, foreign = tmp_path / "placet.log", tmp_path / "placet.log.2026-03-01-mine"
    for name in ("placet.log.2026-02-26", "placet.log.2026-02-27", foreign.name):
        (tmp_path / name).touch()
    file.write_text("before\n")
    of_noon(file)
    first = LogFile(file, 3)
    first.write("after\n")
    first.close()
    assert file.read_text() == "before\nafter\n"
    assert [day.isoformat() for day, _ in earlier_days(file)] == ["2026-02-27"]
    assert foreign.exists()


def test_a_log_is_readable_by_its_owner_only_also_where_the_file_was_there_already(at: Clock, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "placet.log"
    file.parent.mkdir()
    of_noon(file)
    mask = os.umask(0)
    try:
        opened = LogFile(file, 3)
        at(NOON + timedelta(days=1))
        opened.write("a new day\n")
        opened.close()
    finally:
        os.umask(mask)
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}
    assert len(names(file.parent)) == 2


def test_a_second_process_is_refused_until_the_first_has_ended(opened: LogFile, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="a PLACET_LOG_FILE of its own"):
        LogFile(tmp_path / "placet.log", 3)
    opened.close()
    LogFile(tmp_path / "placet.log", 3).close()


_FORKS = """
import os, sys, time
from pathlib import Path
from cli.terminal.log_file import LogFile
file = LogFile(Path(sys.argv[1]), 3)
if not (child := os.fork()):
    os._exit(file.stream is not None)
ended = os.waitpid(child, 0)[1]
file.write("the parent goes on")
try:
    LogFile(Path(sys.argv[1]), 3)
except Exception as error:
    print(ended, type(error).__name__, end="")
"""


def test_a_child_leaves_the_file_and_its_lock_to_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "placet.log"
    done = subprocess.run([sys.executable, "-c", _FORKS, file], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0 Conflict"
    assert file.read_text() == "the parent goes on\n"


def test_a_file_that_cannot_be_written_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputInvalid, match=r"PLACET_LOG_FILE: .* cannot be written"):
        log_file(Settings(home=tmp_path, log_file=tmp_path / "file" / "placet.log"))
    assert log_file(Settings(home=tmp_path)) is None


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_of_a_process_is_in_the_file_and_not_on_standard_error(
    opened: LogFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    write_logs("worker", {VARIABLE: form}, file=opened)
    structlog.get_logger("a").warning("will_try_again", step="log_job")
    logging.getLogger("b").error("%s did not answer", "mail")
    first, second = (tmp_path / "placet.log").read_text().splitlines()
    assert "will_try_again" in first
    assert "mail did not answer" in second
    assert all("2026" in line or "20" in line[:30] for line in (first, second))
    assert "\x1b" not in first + second
    assert capsys.readouterr().err == ""


def test_a_supervisor_shows_what_is_said_until_all_are_ready_and_then_writes_it_only(
    opened: LogFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    log = PassedOn(opened)
    log("api", "it starts")
    log.only_the_file()
    log("api", "it runs")
    assert capsys.readouterr().err == "     api | it starts\n"
    assert (tmp_path / "placet.log").read_text() == "     api | it starts\n     api | it runs\n"
    alone = PassedOn(None)
    alone.only_the_file()
    alone("api", "without a file")
    assert capsys.readouterr().err == "     api | without a file\n"


async def test_doctor_says_where_the_log_is_and_finds_what_is_kept_for_too_long(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "placet.log"
    settings = Settings(home=tmp_path, log_file=file, log_file_days=3)
    assert isinstance(await machine.log(Settings(home=tmp_path)), Unseen)
    assert isinstance(await machine.log(settings), Unseen)
    LogFile(file, 3).close()
    assert "0 earlier days" in str(await machine.log(settings))
    assert isinstance(await machine.permissions(settings), str)
    old = file.with_name(f"placet.log.{datetime.now(UTC) - timedelta(days=5):%Y-%m-%d}")
    old.touch(mode=0o644)
    found = await machine.log(settings)
    assert isinstance(found, Bad)
    assert old.name.removeprefix("placet.log.") in found.found
    found = await machine.permissions(settings)
    assert isinstance(found, Bad)
    assert str(old) in found.found
