"""The installation that a command works on: its folder, whether it has a database, and where its `placet up` runs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from placet.errors import InputInvalid, NotFound
from worker.settings import Settings

_WHERE = "up.json"
_SQLITE = {"sqlite", "sqlite+aiosqlite"}


def has_database(settings: Settings) -> bool:
    """Whether this installation has its database already; one on a server is taken to be there.

    The libraries of a database are loaded once there is one, so the URL is read by hand. What is wrong with it is told
    by whoever opens it.
    """
    scheme, _, rest = settings.database.partition("://")
    file = rest.partition("?")[0].removeprefix("/")
    return scheme not in _SQLITE or file in {"", ":memory:"} or Path(file).exists()


def require_installation(settings: Settings) -> Settings:
    """Return the settings, or raise NotFound where nothing has been set up, so that nothing is made by a mere look."""
    if not has_database(settings):
        raise NotFound(
            f"There is no Placet in {settings.home}: start one with `placet up`, or set PLACET_HOME or "
            "PLACET_DATABASE_URL to where it is."
        )
    return settings


def running_instance(settings: Settings) -> dict[str, Any] | None:
    """Return what a running `placet up` wrote about where it is, or None."""
    try:
        return dict(json.loads((settings.home / _WHERE).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def write_running_instance(settings: Settings, where: dict[str, Any]) -> None:
    """Note where everything is, for the other commands."""
    fresh = settings.home / f"{_WHERE}.new"
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(where))
    fresh.replace(settings.home / _WHERE)


def prepare_home(settings: Settings) -> Path:
    """Return the folder of all data, made where it is missing, for this user alone; raises InputInvalid."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keep_private(settings.home)
    except OSError as error:
        raise InputInvalid(
            f"PLACET_HOME is {settings.home}, which cannot be made or used ({error.strerror}): name a folder that you "
            "can write to."
        ) from error
    return settings.home


def _keep_private(home: Path) -> None:
    """Keep other users of this machine out of a folder that is Placet's: what earlier versions made, all could read."""
    held = {path.name for path in home.iterdir()}
    status = home.stat()
    if status.st_uid == os.geteuid() and (not held or held & {"placet.db", "secret.key"}):
        home.chmod(status.st_mode & ~(stat.S_IRWXG | stat.S_IRWXO))
