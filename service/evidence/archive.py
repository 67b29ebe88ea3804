"""The archive of a pack: a zip file in one canonical form, so that no byte of it can change unnoticed.

Members are stored and not compressed, without comments, dates or extra fields, one behind the other. Any tool opens it;
what is read here is exactly what was written, and nothing else.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Final, Self
from zipfile import ZIP_STORED, ZipFile, ZipInfo
from zlib import crc32

from placet.errors import TooLarge
from placet.sentences import sentence

MANIFEST: Final = "manifest.json"
MOST_BYTES: Final = 2_000_000_000  # of an archive; beyond 2^32 a zip file has another form
MOST_MEMBERS: Final = 60_000  # the form allows 65,535
_CHUNK = 256 * 1024  # bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
_LONGEST_NAME = 200
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _MADE_BY = 20, 3 << 8 | 20  # 2.0; made on Unix
_DATE, _DAY = (1980, 1, 1, 0, 0, 0), 33  # the first day that a zip file knows
_RIGHTS = 0o600 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an archive: its name, its bytes' SHA-256 (hex) and number, and where they begin."""

    name: str
    sha256: str
    size: int
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with an archive, and with which member; None is the archive itself."""

    member: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.member}: {self.message}" if self.member else self.message


class MemberWriter:
    """Takes the bytes of one member."""

    def __init__(self, out: IO[bytes], most: int) -> None:
        self._out = out
        self._most = most
        self._digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add bytes; raises TooLarge beyond what an archive may have."""
        self.size += len(data)
        if self.size > self._most:
            raise TooLarge(
                sentence(
                    "The pack would be larger than {most_bytes:,} bytes; sample fewer, or leave the files out.",
                    most_bytes=MOST_BYTES,
                )
            )
        self._digest.update(data)
        self._out.write(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written (hex)."""
        return self._digest.hexdigest()


class ArchiveWriter:
    """Writes an archive into a file, member by member; the end is written when its block ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = ZipFile(file, "w", ZIP_STORED)
        self._size = 0
        self.members: list[Member] = []

    @contextmanager
    def member(self, name: str) -> Iterator[MemberWriter]:
        """Write the next member."""
        if len(self.members) >= MOST_MEMBERS:
            raise TooLarge(
                sentence(
                    "The pack would have more than {most_members:,} files; sample fewer.", most_members=MOST_MEMBERS
                )
            )
        info = ZipInfo(name, _DATE)
        info.external_attr, info.create_system = _RIGHTS, 3
        with self._zip.open(info, "w") as out:
            writer = MemberWriter(out, MOST_BYTES - self._size)
            yield writer
        self._size += writer.size
        self.members.append(Member(name=name, sha256=writer.sha256, size=writer.size))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()


def read_archive(file: IO[bytes]) -> tuple[dict[str, Member], Fault | None]:
    """Read the members of an archive with their digests; with what is wrong, where it is not in the canonical form.

    Nothing is unpacked and nothing is held but the list, however large the file says that its members are.
    """
    whole, at = file.seek(0, 2), 0
    members: dict[str, Member] = {}
    directory = bytearray()
    while True:
        file.seek(at)
        head = file.read(_LOCAL.size)
        if head[:4] != b"PK\x03\x04" or len(head) < _LOCAL.size:
            break
        _, version, flags, method, time, day, crc, packed, size, name_length, more = _LOCAL.unpack(head)
        raw = file.read(min(name_length, _LONGEST_NAME + 1))
        name = raw.decode("ascii", "replace")
        if len(raw) > _LONGEST_NAME or not _NAME.fullmatch(name):
            return members, Fault(member=name, message="No pack has a member of such a name.")
        if (version, flags, method, time, day, more) != (_VERSION, 0, ZIP_STORED, 0, _DAY, 0) or packed != size:
            return members, Fault(member=name, message="It is not stored as the members of a pack are.")
        if name in members:
            return members, Fault(member=name, message="There are two members of this name.")
        if len(members) >= MOST_MEMBERS:
            return members, Fault(member=name, message=f"A pack has {MOST_MEMBERS:,} members at most.")
        begins = at + _LOCAL.size + name_length
        if begins + size > whole:
            return members, Fault(member=name, message="It is cut short.")
        digest, check = _digests(file, size)
        if check != crc:
            return members, Fault(member=name, message="Its bytes were altered: they do not fit its checksum.")
        members[name] = Member(name=name, sha256=digest, size=size, at=begins)
        directory += _CENTRAL.pack(
            b"PK\x01\x02", _MADE_BY, _VERSION, 0, 0, 0, _DAY, crc, size, size, name_length, 0, 0, 0, 0, _RIGHTS, at
        )  # fmt: skip
        directory += raw
        at = begins + size
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    file.seek(at)
    if whole - at != len(directory) + len(end) or file.read(len(directory) + len(end)) != directory + end:
        after = next(reversed(members), None)
        return members, Fault(
            member=None,
            message=f"What follows its last member ({after or 'there is none'}) is not the list of its members: "
            "something was added, taken away or altered there.",
        )
    return members, None


def _digests(file: IO[bytes], size: int) -> tuple[str, int]:
    digest, check, left = sha256(), 0, size
    while left and (piece := file.read(min(_CHUNK, left))):
        digest.update(piece)
        check = crc32(piece, check)
        left -= len(piece)
    return digest.hexdigest(), check


def lines_of(file: IO[bytes], member: Member, longest: int) -> Iterator[bytes]:
    """Yield the lines of a member, in order; a line that is longer is cut, and is no JSON any more."""
    at, end = member.at, member.at + member.size
    while at < end:
        if file.tell() != at:  # seeking throws away what was read ahead
            file.seek(at)
        line = file.readline(min(longest, end - at))
        at += len(line)
        yield line


def content_of(file: IO[bytes], member: Member) -> bytes:
    """Return the bytes of a member."""
    file.seek(member.at)
    return file.read(member.size)
