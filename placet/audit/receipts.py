"""Receipts: a signed statement of one decision, which is verified without a network, a database or Placet.

The signature is Ed25519 over the bytes `placet receipt 1`, a line feed, and the RFC 8785 canonical JSON of the receipt
without its `signature` and `inclusion`. A key's id is the first 32 hex digits of the SHA-256 of its 32 raw bytes.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from placet.transparency.checkpoints import Checkpoint
from placet.transparency.inclusion import read_inclusion
from placet.transparency.notes import Note, Signature, VerifierKey

FORMAT: Final = 1
_PREFIX = b"placet receipt 1\n"
_PURPOSE = b"placet receipts"
_MEMBERS = frozenset({"format", "body", "key_id", "public_key", "signature", "inclusion"})


class ReceiptKey:
    """The key that an installation signs with. It is derived from its secret, and changes with that.

    `generation` counts the keys of one secret from 1: the next one is another key.
    """

    def __init__(self, secret: str, generation: int = 1) -> None:
        purpose = _PURPOSE if generation == 1 else b"%s %d" % (_PURPOSE, generation)
        seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    def sign(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the receipt of a decision."""
        signed: dict[str, Any] = {
            "format": FORMAT,
            "body": dict(body),
            "key_id": self.id,
            "public_key": b64encode(self.public).decode(),
        }
        return {**signed, "signature": self.signature(_PREFIX, signed), "inclusion": None}

    def signature(self, prefix: bytes, document: Mapping[str, Any]) -> str:
        """Sign a document; `prefix` says of what kind it is, so that none can stand for another."""
        return b64encode(self._key.sign(prefix + rfc8785.dumps(document))).decode()

    def sign_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Return what the log says of itself as a signed note.

        Its first line is the log's origin, which has no space in it: no document that begins with a prefix has one so.
        """
        verifier = VerifierKey(name=checkpoint.origin, public=self.public)
        value = self._key.sign(checkpoint.text.encode())
        return str(
            Note(
                text=checkpoint.text,
                signatures=(Signature(name=verifier.name, key_id=verifier.id, value=value),),
            )
        )


def key_id(public: bytes) -> str:
    """Return the id of a public key."""
    return hashlib.sha256(public).hexdigest()[:32]


def fault_of(receipt: object) -> str | None:
    """Return what is wrong with a receipt in itself, in a sentence; None where nothing is.

    Whether its key is that of the installation it claims to be from, the reader has to know: compare `key_id`.
    """
    if not isinstance(receipt, dict) or set(receipt) != _MEMBERS:
        return f"It is no receipt: a receipt has exactly the members {', '.join(sorted(_MEMBERS))}."
    if receipt["format"] != FORMAT or isinstance(receipt["format"], bool):
        return f"Its format is {receipt['format']!r:.40}; this version reads format {FORMAT}."
    fault = fault_of_signature(receipt, ("format", "body", "key_id", "public_key"), _PREFIX)
    if fault is None and receipt["inclusion"] is not None:
        try:
            read_inclusion(receipt["inclusion"], receipt["body"])
        except ValueError as error:
            return f"Its inclusion in the log does not hold: {error}."
    return fault


def fault_of_signature(document: Mapping[str, Any], signed: Sequence[str], prefix: bytes) -> str | None:
    """Return what is wrong with the signature over these members of a document; None where nothing is."""
    try:
        texts = (document["public_key"], document["signature"])
        public, signature = (b64decode(text, validate=True) for text in texts)
        if any(b64encode(raw).decode() != text for raw, text in zip((public, signature), texts, strict=True)):
            return "Its public key or its signature is not written as base64 writes it."
        if document["key_id"] != key_id(public):
            return "Its key_id is not that of its public key."
        canonical = rfc8785.dumps({name: document[name] for name in signed})
        Ed25519PublicKey.from_public_bytes(public).verify(signature, prefix + canonical)
    except (InvalidSignature, rfc8785.CanonicalizationError, RecursionError):
        return "Its signature does not fit: something in it was changed after it was signed."
    except (Error, ValueError, TypeError):
        return "Its public key or its signature cannot be read."
    return None
