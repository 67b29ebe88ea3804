"""The keys that encrypt payloads in the engine: a file with one key a line, of which the first one writes.

All keys of the file read. A payload names its key by an id that is computed from the key, so the file holds nothing
but keys and comments.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from placet.errors import Conflict, InputInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE: Final = "PLACET_PAYLOAD_KEYS_FILE"
KEY_BYTES: Final = 32  # AES-256
_MOST_BYTES = 64_000  # of the file: about a thousand keys
_DOMAIN = b"placet payload key\n"


@dataclass(frozen=True, slots=True)
class PayloadKey:
    """One key: the id that payloads name it by, and its cipher."""

    id: str
    cipher: AESGCM = field(repr=False)

    @classmethod
    def of(cls, key: bytes) -> PayloadKey:
        """Return the key of these 32 bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # without keys it is not needed

        return cls(id=id_of(key), cipher=AESGCM(key))


def id_of(key: bytes) -> str:
    """Return a key's id: 16 hexadecimal digits, from which nobody can compute the key."""
    return hashlib.sha256(_DOMAIN + key).hexdigest()[:16]


class KeyRing:
    """The keys of a file. The one that writes stays the same while the process runs; added keys are found when needed.

    So a file that was rotated is put everywhere first, and a process writes with the new key once it is started again.
    """

    def __init__(self, file: Path) -> None:
        """Read the file; raises InputInvalid with the line and the remedy."""
        self._file = file
        self._seen = _version(file)
        keys = read_keys(file)
        self.writes = PayloadKey.of(keys[0])
        self._keys = {id_of(key): PayloadKey.of(key) for key in keys}

    def find(self, key_id: str) -> PayloadKey | None:
        """Return a key by its id; for an unknown one the file is read again where it has changed."""
        if key_id not in self._keys and (version := _version(self._file)) != self._seen:
            self._seen = version
            self._keys |= {id_of(key): PayloadKey.of(key) for key in read_keys(self._file)}
        return self._keys.get(key_id)

    def __repr__(self) -> str:
        """Name the file and the ids, and no key."""
        return f"KeyRing({str(self._file)!r}, writes={self.writes.id!r}, reads={sorted(self._keys)!r})"


def read_keys(file: Path) -> list[bytes]:
    """Read the keys of a file, the one that writes first; raises InputInvalid with the line and the remedy."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(
            f"{VARIABLE} is {file}, which cannot be read ({error}); `placet keys payloads FILE` makes one."
        ) from error
    if len(content) > _MOST_BYTES:
        raise InputInvalid(f"{VARIABLE} is {file}, which has more than {_MOST_BYTES:,} bytes; keep one key a line.")
    keys: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        try:
            key = b64decode(written, validate=True)
        except Base64Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise InputInvalid(f"{file}, line {number}: write a key as {KEY_BYTES} bytes in Base64.")
        keys.append(key)
    if not keys:
        raise InputInvalid(f"{VARIABLE} is {file}, which holds no key; `placet keys payloads FILE` adds one.")
    return keys


def add_key(file: Path, now: datetime) -> PayloadKey:
    """Make a key and put it first in the file, which is made where it is missing; return the key.

    The file is replaced as a whole, so that no reader finds half of it. Raises InputInvalid for a file that holds
    something else, and Conflict where another process adds a key to it now.
    """
    before = ""
    if file.exists():
        read_keys(file)
        before = file.read_text()
    key = secrets.token_bytes(KEY_BYTES)
    made = PayloadKey.of(key)
    content = f"# {made.id}, since {now:%Y-%m-%d}\n{b64encode(key).decode()}\n{before}"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(
            f"{fresh} exists: another process adds a key, or one was stopped while it did. Remove it."
        ) from None
    with os.fdopen(descriptor, "w") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(file)
    return made


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
