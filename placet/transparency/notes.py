"""Signed notes (https://c2sp.org/signed-note): a text, and lines that sign it, each by a named key.

A key is known to its readers as a verifier key, `<name>+<key id>+<base64 of kind and key>`. The kind that is read here
is Ed25519 (0x01). Signatures by other keys are passed over, as the standard asks: those of witnesses, for example,
whose kind is another one (placet.transparency.cosignatures).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519: Final = 0x01
MOST_SIGNATURES: Final = 64
"""Of one note that is read."""
LONGEST: Final = 65_536
"""Characters of a note that is read."""
_DASH = "\N{EM DASH}"
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One line of a note: whose key, its id of four bytes, and what it says, as the kind of the key has it."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its line feed."""
        return f"{_DASH} {self.name} {b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text that ends with a line feed, and its signatures, which nobody has verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def read(cls, raw: str) -> Self:
        """Read a note; raises ValueError, which says what is wrong, for what is none."""
        if len(raw) > LONGEST:
            raise ValueError(f"it is longer than {LONGEST:,} characters")
        if _CONTROL.search(raw):
            raise ValueError("it has a control character in it")
        text, blank, signed = raw.rpartition("\n\n")
        if not blank or not text or not signed.endswith("\n"):
            raise ValueError("it has no signature: a note is a text, an empty line, and lines that sign it")
        return cls(text=text + "\n", signatures=read_signatures(signed))

    def __str__(self) -> str:
        """Return the note as it is sent."""
        return f"{self.text}\n{''.join(one.line for one in self.signatures)}"


def read_signatures(lines: str) -> tuple[Signature, ...]:
    """Read the lines that sign a note, each with its line feed; raises ValueError."""
    found = lines.split("\n")
    if found.pop() or not found:
        raise ValueError("its last line does not end with a line feed")
    if len(found) > MOST_SIGNATURES:
        raise ValueError(f"it has more than {MOST_SIGNATURES} signatures")
    return tuple(map(_signature, found))


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != _DASH or not _NAME.fullmatch(name):
        raise ValueError(f"{line[:80]!r} is no line that signs a note")
    raw = decoded(encoded)
    if len(raw) <= _KEY_ID_BYTES:
        raise ValueError(f"the signature of {name[:80]} is too short")
    return Signature(name=name, key_id=raw[:_KEY_ID_BYTES], value=raw[_KEY_ID_BYTES:])


def decoded(encoded: str) -> bytes:
    """Return what base64 encodes; raises ValueError for what base64 would write in another way."""
    raw = b64decode(encoded, validate=True)
    if b64encode(raw).decode() != encoded:
        raise ValueError(f"{encoded[:80]!r} is not as base64 writes it")
    return raw


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the first four bytes of the SHA-256 of name, line feed, kind and key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_KEY_ID_BYTES]


def written_key(name: str, kind: int, public: bytes) -> str:
    """Return a key as readers are told it, `<name>+<key id>+<base64 of kind and key>`."""
    return f"{name}+{key_id(name, kind, public).hex()}+{b64encode(bytes([kind]) + public).decode()}"


def read_key(encoded: str, kind: int) -> tuple[str, bytes]:
    """Return name and 32 bytes of an Ed25519 key of this kind; raises ValueError, also for another kind."""
    name, given, key = [*encoded.split("+", 2), "", ""][:3]
    raw = decoded(key)
    if len(raw) != 1 + _KEY_BYTES or raw[0] != kind:
        raise ValueError(f"{encoded[:80]!r} is no verifier key NAME+KEY_ID+BASE64 of the kind 0x{kind:02x} (Ed25519)")
    if key_id(name, kind, raw[1:]).hex() != given:
        raise ValueError(f"the key id of {name[:80]} is {key_id(name, kind, raw[1:]).hex()}, and not {given[:80]}")
    return name, raw[1:]


def check_name(name: str) -> None:
    """Raise ValueError for what is no name of a key."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name of a key: it has a space, a plus, or nothing in it")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """An Ed25519 key by which lines of notes are verified: its name, and its 32 bytes."""

    kind: ClassVar[int]
    """What its lines sign, as the first byte of what its id is computed from."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)

    @classmethod
    def read(cls, encoded: str) -> Self:
        """Read `<name>+<key id>+<base64>`; raises ValueError, also for another kind."""
        name, public = read_key(encoded, cls.kind)
        return cls(name=name, public=public)

    def __str__(self) -> str:
        """Return the key as readers are told it."""
        return written_key(self.name, self.kind, self.public)

    @property
    def id(self) -> bytes:
        """The four bytes that lines by this key begin with."""
        return key_id(self.name, self.kind, self.public)

    def own(self, signatures: Sequence[Signature]) -> tuple[Signature, ...]:
        """Return those lines that say they are by this key."""
        return tuple(one for one in signatures if (one.name, one.key_id) == (self.name, self.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey(NoteKey):
    """The key of a log, which signs the text of a note."""

    kind = ED25519

    def signed(self, text: str, signatures: Sequence[Signature]) -> tuple[Signature, ...]:
        """Return those signatures that are by this key and fit the text; raises ValueError where one does not fit."""
        own = self.own(signatures)
        for one in own:
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(one.value, text.encode())
            except (InvalidSignature, ValueError) as error:
                raise ValueError(f"the signature of {self.name} does not fit") from error
        return own
