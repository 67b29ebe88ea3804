"""What a back-up says of itself: when it was made, by which release, and the digest of each of its files."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from placet.errors import InputInvalid

FILE: Final = "manifest.json"
FORMAT: Final = 1
_LONGEST = 500_000_000  # bytes of a manifest: some two million files

Part = Literal["placet", "engine", "files"]
"""Placet's database, the engine's databases, the store of files."""
PARTS: Final[tuple[Part, ...]] = ("engine", "placet", "files")
"""In the order in which they are copied (decision 53)."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One file of a back-up: its place in the folder, which part it belongs to, its size and its digest."""

    path: str
    part: Part
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a back-up holds."""

    format: int
    made_at: str
    """When it was begun, as ISO 8601."""
    placet: str
    """The release that made it."""
    engine: str | None
    """The release of the embedded engine; None where the engine is not part of it."""
    schema: str | None
    """The revision of Placet's database."""
    secret: str
    """A digest that tells whether an installation has the same secret; the secret itself is not in a back-up."""
    payload_key: str | None
    """The id of the key that payloads in the engine were encrypted with."""
    times: dict[str, str]
    """When the copy of each part was whole, as ISO 8601."""
    files: tuple[Kept, ...]

    def of(self, part: Part) -> list[Kept]:
        """Return the files of a part."""
        return [file for file in self.files if file.part == part]


def fingerprint(secret: str) -> str:
    """Return what tells a secret from another one and does not give it away: it has 48 random bytes."""
    return hashlib.sha256(b"placet backup\n" + secret.encode()).hexdigest()[:16]


def described(folder: Path, file: Path, part: Part) -> Kept:
    """Return what the manifest says of a file in the folder of a back-up."""
    digest = digest_of(file)
    return Kept(path=file.relative_to(folder).as_posix(), part=part, bytes=file.stat().st_size, sha256=digest)


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, on disk when this returns. A folder without one is no back-up."""
    fresh = folder / f"{FILE}.new"
    with fresh.open("w", encoding="utf-8") as opened:
        json.dump(asdict(manifest), opened, indent=1)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(folder / FILE)


def read(folder: Path) -> Manifest:
    """Read the manifest of a back-up and compare every file with it; raises InputInvalid for one that is not whole."""
    manifest = _parsed(folder)
    for kept in manifest.files:
        place = PurePosixPath(kept.path)
        if place.is_absolute() or ".." in place.parts:
            raise InputInvalid(f"{folder / FILE} names {kept.path!r}, which is outside of the back-up.")
        file = folder / place
        if not file.is_file() or file.is_symlink():
            raise InputInvalid(f"{file} is missing, so this back-up is not whole; use another one.")
        if file.stat().st_size != kept.bytes or digest_of(file) != kept.sha256:
            raise InputInvalid(f"{file} is not what was backed up: its digest is another one; use another back-up.")
    return manifest


def _parsed(folder: Path) -> Manifest:
    file = folder / FILE
    try:
        if file.stat().st_size > _LONGEST:
            raise InputInvalid(f"{file} is longer than {_LONGEST:,} bytes, so it was not written by Placet.")
        raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise InputInvalid(f"{file} has format {raw['format']}, and this release reads {FORMAT}; use a newer one.")
        return Manifest(**raw | {"files": tuple(Kept(**one) for one in raw["files"])})
    except FileNotFoundError:
        raise InputInvalid(f"{folder} holds no {FILE}: it is no back-up, or one that was not finished.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputInvalid(f"{file} cannot be read: {error}") from None
