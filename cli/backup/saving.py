"""Make a back-up of an installation while it runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cli.backup.databases import Server, copy_file
from cli.backup.manifest import FORMAT, PARTS, Kept, Manifest, Part, described, fingerprint, write
from cli.installation import require_installation, sqlite_file
from cli.private_files import write_private_files
from engine_host.config import CLI_FILE, SERVER_FILE, Postgres
from engine_host.serve import version_at
from placet.errors import Conflict, InputInvalid
from storage.database import Database
from storage.migrate import revision
from worker.connect import EngineSettings
from worker.settings import Settings

DATABASE = "placet.db"
DUMP = "placet.dump"
ENGINE_FILES = (SERVER_FILE, CLI_FILE, "visibility.sqlite")
ENGINE_DUMPS = ("engine.dump", "visibility.dump")
FILES = "files"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A back-up that was made: its manifest, and why parts of the installation are not in it."""

    manifest: Manifest
    left_out: dict[str, str]


async def save(settings: Settings, folder: Path) -> Backup:
    """Copy the engine's databases, then Placet's, then the files, into a new folder that only its owner can read.

    Raises Conflict for a folder that holds something, and NotFound where there is no installation.
    """
    require_installation(settings)
    engine = EngineSettings.read()
    write_private_files()
    _make(folder)
    begun = datetime.now(UTC)
    left_out: dict[str, str] = {}
    kept: list[Kept] = []
    times: dict[str, str] = {}
    for part in PARTS:
        why = _why_not(part, settings, engine)
        if why is not None:
            left_out[part] = why
            continue
        kept += [described(folder, file, part) for file in _COPY[part](settings, folder)]
        times[part] = datetime.now(UTC).isoformat()
    manifest = Manifest(
        format=FORMAT,
        made_at=begun.isoformat(),
        placet=version("placet"),
        engine=None if "engine" in left_out else version_at(settings.home / "engine"),
        schema=await _schema(settings),
        secret=fingerprint(settings.secret()),
        payload_key=None if engine.payload_keys is None else engine.payload_keys.writes.id,
        times=times,
        files=tuple(kept),
    )
    write(folder, manifest)
    return Backup(manifest=manifest, left_out=left_out)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Conflict(f"{folder} holds something already; name a new folder for each back-up.")
    except OSError as error:
        raise InputInvalid(f"{folder} cannot be made: {error.strerror}. Name a folder that you can write to.") from None


def _why_not(part: Part, settings: Settings, engine: EngineSettings) -> str | None:
    """Return why a part is not in a back-up that is made from here; None where it is."""
    if part == "engine" and engine.named:
        return f"the engine at {engine.address} is not this installation's: back its databases up just before this"
    if part == "engine" and settings.engine_database == "memory":
        return "PLACET_ENGINE_DATABASE is memory: nothing of the engine outlives it"
    if part == "files" and "://" in settings.attachments:
        return f"files are in {settings.attachments.partition('://')[0]}://…: keep versions of them there"
    return None


def _copy_engine(settings: Settings, folder: Path) -> list[Path]:
    made: list[Path] = []
    target = folder / "engine"
    target.mkdir(mode=0o700)
    if settings.engine_database == "file":
        for name in ENGINE_FILES:
            if (source := settings.home / "engine" / name).is_file():
                copy_file(source, target / name)
                made.append(target / name)
        return made
    for server, name in engine_servers(settings):
        server.dump(target / name)
        made.append(target / name)
    return made


def engine_servers(settings: Settings) -> list[tuple[Server, str]]:
    """Return the databases of an embedded engine on PostgreSQL, each with the name of its dump."""
    there = Postgres.parse(settings.engine_database)
    names = (there.name, there.visibility)
    return [(Server.of_engine(there, name), dump) for name, dump in zip(names, ENGINE_DUMPS, strict=True)]


def _copy_placet(settings: Settings, folder: Path) -> list[Path]:
    source = sqlite_file(settings)
    target = folder / (DUMP if source is None else DATABASE)
    if source is None:
        Server.of_url(settings.database).dump(target)
    else:
        copy_file(source, target)
    return [target]


def _copy_files(settings: Settings, folder: Path) -> list[Path]:
    """Copy the store of files, which are written once; after the database, so that all that it names are there."""
    made: list[Path] = []
    source, target = Path(settings.attachments), folder / FILES
    for at, _, names in os.walk(source):
        for name in names:
            if "#" in name:  # of a file that is still being stored
                continue
            file = Path(at) / name
            copy = target / file.relative_to(source)
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                shutil.copyfile(file, copy)
            except FileNotFoundError:  # erased meanwhile
                continue
            made.append(copy)
    return made


_COPY: dict[Part, Any] = {"engine": _copy_engine, "placet": _copy_placet, "files": _copy_files}


async def _schema(settings: Settings) -> str | None:
    database = Database(settings.database)
    try:
        return await database.read(revision)
    finally:
        await database.close()
