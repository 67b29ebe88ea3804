"""Restore a back-up into an installation that does not run."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cli.backup.databases import Server, require_unused
from cli.backup.manifest import PARTS, Manifest, Part, fingerprint, read
from cli.backup.saving import DUMP, ENGINE_DUMPS, FILES, engine_servers
from cli.database import migrated_database
from cli.installation import prepare_home, sqlite_file
from engine_host.config import Postgres
from engine_host.database import create_missing, has_schema, take_over_schema, users_of
from engine_host.serve import running_at
from placet.errors import Conflict, InputInvalid, Unavailable
from service.erasure.erasing import reapply
from service.erasure.ledger import read_ledger
from storage.migrate import is_of_newer
from worker.settings import SECRET_FILE, Settings

_OWN_FILES = ("file", "memory")  # the engine's data that is on no database server


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore has done: the parts, whom the ledger erased again, and where what was there before is now."""

    manifest: Manifest
    parts: tuple[Part, ...]
    erased_again: tuple[str, ...]
    replaced: Path | None


async def restore(
    settings: Settings,
    folder: Path,
    *,
    only: Collection[Part] = PARTS,
    replace: bool = False,
    other_secret: bool = False,
) -> Restored:
    """Check a back-up, put its parts in place, migrate the database, and erase again whom the ledger says.

    Nothing is changed before all checks have passed. Raises InputInvalid for a back-up that is damaged, of a newer
    release or of another secret, and Conflict over an installation that runs or holds something.
    """
    manifest = read(folder)
    parts = tuple(part for part in PARTS if part in only and manifest.of(part))
    if not parts:
        raise InputInvalid(f"{folder} holds nothing of {', '.join(only)}.")
    if manifest.schema is not None and is_of_newer(manifest.schema):
        raise InputInvalid(f"{folder} was made by Placet {manifest.placet}, which is newer than this one; use that.")
    _require_stopped(settings)
    _require_kind(settings, manifest, parts)
    if not replace and (there := [part for part in parts if _holds(settings, part)]):
        raise Conflict(
            f"There is something of {', '.join(there)} in {settings.home} or its database already. Restore into an "
            "empty PLACET_HOME, or say --replace."
        )
    if not other_secret and not _same_secret(settings, manifest):
        raise InputInvalid(
            "This installation's secret is not the one of the back-up. Put its secret.key into PLACET_HOME (or set "
            "PLACET_SECRET_KEY) first: without it nothing signs with the keys in the database. With --other-secret it "
            "is restored all the same."
        )
    prepare_home(settings)
    replaced = _put(settings, folder, manifest, parts)
    again: Collection[str] = ()
    if _holds(settings, "placet"):  # of the engine alone may be restored first
        async with migrated_database(settings) as database:
            again = await reapply(database, read_ledger(settings.home), database.now())
    return Restored(manifest=manifest, parts=parts, erased_again=tuple(again), replaced=replaced)


def _same_secret(settings: Settings, manifest: Manifest) -> bool:
    """Whether the installation has the secret of the back-up; one that has none yet gets none by this."""
    there = settings.secret_key is not None or (settings.home / SECRET_FILE).exists()
    return there and fingerprint(settings.secret()) == manifest.secret


def _require_stopped(settings: Settings) -> None:
    """Raise Conflict where something of this installation runs."""
    if running_at(settings.home / "engine") is not None:
        raise Conflict(f"An engine runs on {settings.home}. Stop `placet up` first.")
    others = 0 if settings.engine_database in _OWN_FILES else users_of(Postgres.parse(settings.engine_database))
    if others:
        raise Conflict(f"{others} connections use the engine's databases. Stop every process of the engine first.")
    file = sqlite_file(settings)
    if file is not None:
        require_unused(file)
        return
    others = _asked(
        settings,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
        "pid <> pg_backend_pid() AND backend_type = 'client backend'",
    )
    if others:
        raise Conflict(f"{others} other connections use this database. Stop every Placet process first.")


def _require_kind(settings: Settings, manifest: Manifest, parts: Collection[Part]) -> None:
    """Raise InputInvalid where copies are of another kind of database than the settings name."""
    names = {Path(kept.path).name for part in ("placet", "engine") if part in parts for kept in manifest.of(part)}
    if "placet" in parts and (DUMP in names) is not (sqlite_file(settings) is None):
        raise InputInvalid("The back-up is of another kind of database than PLACET_DATABASE_URL names.")
    if "engine" in parts and bool(names & set(ENGINE_DUMPS)) is (settings.engine_database == "file"):
        raise InputInvalid("The back-up is of another kind of database than PLACET_ENGINE_DATABASE names.")


def _holds(settings: Settings, part: Part) -> bool:
    if part == "placet":
        file = sqlite_file(settings)
        return file.exists() if file is not None else bool(_tables(settings))
    if part == "files":
        folder = Path(settings.attachments)
        return folder.is_dir() and any(folder.iterdir())
    if settings.engine_database in _OWN_FILES:
        return any((settings.home / "engine").glob("*.sqlite"))
    there = Postgres.parse(settings.engine_database)
    return any(has_schema(there, name) for name in (there.name, there.visibility))


def _tables(settings: Settings) -> int:
    return _asked(settings, "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()")


def _asked(settings: Settings, query: str) -> int:
    url = settings.database.replace("postgresql+psycopg://", "postgresql://")
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(query.encode()).fetchone()
            return 0 if row is None else int(row[0])
    except psycopg.Error as error:
        raise Unavailable(f"The database does not answer: {error}") from error


def _put(settings: Settings, folder: Path, manifest: Manifest, parts: Collection[Part]) -> Path | None:
    """Put the parts in place; return where what was there before is now, None where nothing was."""
    aside = settings.home / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    if "engine" in parts:
        _put_engine(settings, folder, manifest, aside)
    if "placet" in parts:
        file = sqlite_file(settings)
        if file is None:
            Server.of_url(settings.database).restore(folder / DUMP)
        else:
            _move(aside, *(file.with_name(file.name + end) for end in ("", "-wal", "-shm")))
            shutil.copyfile(folder / manifest.of("placet")[0].path, file)
    if "files" in parts:
        store = Path(settings.attachments)
        for kept in manifest.of("files"):
            place = store / Path(kept.path).relative_to(FILES)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(folder / kept.path, place)
    return aside if aside.exists() else None


def _put_engine(settings: Settings, folder: Path, manifest: Manifest, aside: Path) -> None:
    if settings.engine_database != "file":
        there = Postgres.parse(settings.engine_database)
        for server, dump in engine_servers(settings):
            create_missing(there, server.name)
            server.restore(folder / "engine" / dump)
            take_over_schema(there, server.name)
        return
    home = settings.home / "engine"
    home.mkdir(mode=0o700, exist_ok=True)
    _move(aside / "engine", *home.glob("*.sqlite*"))
    for kept in manifest.of("engine"):
        shutil.copyfile(folder / kept.path, home / Path(kept.path).name)


def _move(aside: Path, *files: Path) -> None:
    for file in files:
        if file.exists():
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.replace(aside / file.name)
