"""Receipts: a signed statement of one decision, which is verified without a network, a database or Placet.

The signature is Ed25519 over the bytes `placet receipt 1`, a line feed, and the RFC 8785 canonical JSON of the receipt
without its `signature` and `inclusion`. A key's id is the first 32 hex digits of the SHA-256 of its 32 raw bytes.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT: Final = 1
_PREFIX = b"placet receipt 1\n"
_PURPOSE = b"placet receipts"
_MEMBERS = frozenset({"format", "body", "key_id", "public_key", "signature", "inclusion"})


class ReceiptKey:
    """The key that an installation signs receipts with. It is derived from its secret, and changes with that."""

    def __init__(self, secret: str) -> None:
        seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
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
        signature = b64encode(self._key.sign(_PREFIX + rfc8785.dumps(signed))).decode()
        return {**signed, "signature": signature, "inclusion": None}


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
    if receipt["inclusion"] is not None:
        return "It says where it is in a log; there is none for receipts of this format."
    try:
        public, signature = (b64decode(receipt[name], validate=True) for name in ("public_key", "signature"))
        if receipt["key_id"] != key_id(public):
            return "Its key_id is not that of its public key."
        signed = {name: receipt[name] for name in ("format", "body", "key_id", "public_key")}
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _PREFIX + rfc8785.dumps(signed))
    except (InvalidSignature, rfc8785.CanonicalizationError):
        return "Its signature does not fit: something in it was changed after it was signed."
    except (Error, ValueError, TypeError):
        return "Its public key or its signature cannot be read."
    return None
