"""The installation that a command works on: its data folder, its database, and the addresses of its `placet up`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cli.private_files import keep_private, write_private_files
from placet.errors import InputInvalid, NotFound
from worker.settings import Settings

_WHERE = "up.json"
_SQLITE = {"sqlite", "sqlite+aiosqlite"}


def has_database(settings: Settings) -> bool:
    """Whether this installation has a database already. A database on a server is assumed to exist.

    The URL is parsed by hand, so that the database libraries are loaded only if there is a database. An invalid URL is
    reported when the database is opened.
    """
    file = sqlite_file(settings)
    return file is None or file.exists()


def sqlite_file(settings: Settings) -> Path | None:
    """Return the file of a database in SQLite, or None for one on a server or in memory."""
    scheme, _, rest = settings.database.partition("://")
    file = rest.partition("?")[0].removeprefix("/")
    return None if scheme not in _SQLITE or file in {"", ":memory:"} else Path(file)


def require_installation(settings: Settings) -> Settings:
    """Return the settings; raise NotFound if there is no installation, so that a read-only command creates nothing."""
    if not has_database(settings):
        raise NotFound(
            f"There is no Placet installation in {settings.home}. Create one with `placet up`, or set PLACET_HOME or "
            "PLACET_DATABASE_URL to an existing one."
        )
    return settings


def running_instance(settings: Settings) -> dict[str, Any] | None:
    """Return the addresses that a running `placet up` wrote down, or None."""
    try:
        return dict(json.loads((settings.home / _WHERE).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def process_exists(pid: int) -> bool:
    """Whether this process exists. Another installation may use its address by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_running_instance(settings: Settings, where: dict[str, Any]) -> None:
    """Write the addresses of this `placet up` down, for the other commands."""
    fresh = settings.home / f"{_WHERE}.new"
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(where))
    fresh.replace(settings.home / _WHERE)


def prepare_home(settings: Settings) -> Path:
    """Return the data folder; create it if it is missing, readable by this user only. Raises InputInvalid.

    What this process makes from now on is this user's alone.
    """
    write_private_files()
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keep_private(settings.home)
    except OSError as error:
        raise InputInvalid(
            f"The folder {settings.home} cannot be created or used ({error.strerror}). Set PLACET_HOME to a folder "
            "that you can write to."
        ) from error
    return settings.home


def _keep_private(home: Path) -> None:
    """Remove the access of other users to a folder of Placet's. Earlier versions created it readable for all."""
    held = {path.name for path in home.iterdir()}
    if home.stat().st_uid == os.geteuid() and (not held or held & {"placet.db", "secret.key"}):
        keep_private(home)
