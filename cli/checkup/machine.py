"""Look at this machine: Python, the data folder, free disk, permissions, the log, and the processes of `placet up`."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from activities.notifications.settings import NotifySettings
from activities.secret_files import variables_of_files
from cli.checkup.check import Bad, Finding, Unseen
from cli.installation import process_exists, running_instance, sqlite_file
from cli.private_files import MASK, shared_with_others
from cli.terminal.log_file import earlier_days, log_path
from engine_host.locate import locate
from worker.connect import EngineSettings
from worker.key_ring import VARIABLE
from worker.settings import Settings

OLDEST = (3, 11)
LEAST_BYTES = 1_000_000_000
"""Of free disk. SQLite, PostgreSQL and the engine stop writing on a full one."""
_MOST_FOUND = 1000  # files that others may read; more are not looked for
_SHOWN = 3  # names in one message
# Variables that name a file with a secret in it.
_SECRET_FILES = (
    VARIABLE,
    *variables_of_files(Settings),
    *variables_of_files(NotifySettings),
    "TEMPORAL_API_KEY_FILE",
    "TEMPORAL_TLS_KEY",
    "TEMPORAL_TLS_CLIENT_KEY_PATH",
)


async def python() -> Finding:
    """Whether this Python is new enough."""
    version = sys.version.split()[0]
    return version if sys.version_info >= OLDEST else Bad(found=f"Python {version} is too old")


async def home(settings: Settings) -> Finding:
    """Whether the data folder is there and can be written to."""
    folder = settings.home
    if not folder.exists():
        return Bad(
            found=f"{folder} does not exist yet",
            remedy="`placet up` creates it; set PLACET_HOME to use another folder.",
        )
    if not os.access(folder, os.W_OK):
        return Bad(found=f"{folder} is not writable")
    return str(folder)


async def disk(settings: Settings) -> Finding:
    """Whether there is room where the database, the engine and the store of files write."""
    folders = {"data": settings.home}
    if (file := sqlite_file(settings)) is not None:
        folders["database"] = file.parent
    if "://" not in settings.attachments:
        folders["files"] = Path(settings.attachments)
    if (log := log_path(settings)) is not None:
        folders["log"] = log.parent
    free = {name: shutil.disk_usage(there).free for name, there in _existing(folders)}
    if not free:
        return Unseen(why="there is no data folder yet")
    said = ", ".join(f"{name} {count / 1e9:.1f} GB free" for name, count in free.items())
    return said if min(free.values()) >= LEAST_BYTES else Bad(found=said)


def _existing(folders: dict[str, Path]) -> Iterable[tuple[str, Path]]:
    return [(name, folder) for name, folder in folders.items() if folder.exists()]


async def permissions(settings: Settings) -> Finding:
    """Whether anybody but their owner may read files of this installation, or files that hold its secrets."""
    if not settings.home.exists():
        return Unseen(why="there is no data folder yet")
    shared = await asyncio.to_thread(_shared, settings)
    if not shared:
        return "readable by their owner only"
    more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
    return Bad(
        found=f"others than their owner may use {', '.join(map(str, sorted(shared)[:_SHOWN]))}{more}",
        remedy=f"`chmod -R go= {settings.home}`, and likewise for files of secrets elsewhere.",
    )


def _shared(settings: Settings) -> list[Path]:
    private = [Path(os.environ[name]).expanduser() for name in _SECRET_FILES if os.environ.get(name)]
    if (log := log_path(settings)) is not None and log.parent.is_dir():
        private += [log, *(file for _, file in earlier_days(log))]
    readable = [file for file in private if file.is_file() and _used_by_others(file.stat())]
    # The file of the log may be in the data folder, which is looked at as well.
    return list(dict.fromkeys([*islice(shared_with_others(settings.home), _MOST_FOUND), *readable]))


def _used_by_others(status: os.stat_result) -> bool:
    """Whether others than its owner may use a file; root's, which a process may read by its group alone, is its own.

    So Kubernetes mounts secrets: they belong to root, and to a group of the pod's.
    """
    mine = stat.S_IRGRP if status.st_uid == 0 and status.st_gid == os.getegid() != 0 and os.geteuid() != 0 else 0
    return bool(stat.S_IMODE(status.st_mode) & MASK & ~mine)


async def log(settings: Settings) -> Finding:
    """Whether the log can be written, and none of it is kept for longer than the settings say."""
    there = log_path(settings)
    if there is None:
        return Unseen(why="PLACET_LOG_FILE is not set; logs are on standard error, and whoever takes it keeps them")
    if not there.exists():
        return Unseen(why=f"nothing has been logged to {there} yet")
    if not os.access(there, os.W_OK) or not os.access(there.parent, os.W_OK):
        return Bad(found=f"{there} or its folder is not writable")
    days = earlier_days(there)
    total = sum(file.stat().st_size for file in (there, *(file for _, file in days)))
    said = f"{there}, with {len(days)} earlier days, {total / 1e6:.1f} MB"
    # A day more, for whoever has the file looks once an hour.
    first = datetime.now(UTC).date() - timedelta(days=settings.log_file_days + 1)
    if days and days[0][0] < first:
        remedy = "Start `placet up`, which removes what is too old, or remove it."
        return Bad(found=f"{said}; the oldest is of {days[0][0]}", remedy=remedy)
    return said


async def engine_program() -> Finding:
    """Whether there is an engine that `placet up` could start."""
    if EngineSettings.read().named:
        return Unseen(why="TEMPORAL_ADDRESS names a server, so that none is started here")
    return str(await asyncio.to_thread(locate))


async def processes(settings: Settings) -> Finding:
    """Whether the processes of `placet up` run."""
    where = running_instance(settings)
    if where is None or not process_exists(where["pid"]):
        return Unseen(why=f"`placet up` does not run on {settings.home}")
    pids = {name: process["pid"] for name, process in where["processes"].items()}
    if ended := sorted(name for name, pid in pids.items() if not process_exists(pid)):
        return Bad(found=f"{', '.join(ended)} ended, and `placet up` starts it again")
    return ", ".join(f"{name} {pid}" for name, pid in {"supervisor": where["pid"], **pids}.items())
