"""Encrypt what the engine stores of a request: AES-256-GCM by a ring of keys.

Payloads that are not encrypted are read as they are, so that the codec can be switched on while requests run, and
recorded histories replay with it and without it. Each payload is encrypted whole, with its own metadata.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from placet.errors import Unavailable
from worker.key_ring import VARIABLE, KeyRing, PayloadKey

ENCODING: Final = b"binary/encrypted"
_NONCE_BYTES = 12
_KEY = "encryption-key-id"
_CIPHER = {"encoding": ENCODING, "encryption-cipher": b"AES-256-GCM"}


class EncryptingCodec(PayloadCodec):
    """Encrypts payloads with the ring's first key, and decrypts them with the key that each names."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads."""
        key = self._ring.writes
        metadata = {**_CIPHER, _KEY: key.id.encode()}
        return [Payload(metadata=metadata, data=_encrypted(key, each.SerializeToString())) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt payloads; raises Unavailable for an unknown key, and for one that does not fit."""
        return [self._decrypted(each) if each.metadata.get("encoding") == ENCODING else each for each in payloads]

    def _decrypted(self, payload: Payload) -> Payload:
        from cryptography.exceptions import InvalidTag  # as in worker.key_ring

        named = payload.metadata.get(_KEY, b"").decode("ascii", "replace")
        key = self._ring.find(named)
        if key is None:
            raise Unavailable(f"A payload is encrypted by the key {named!r}, which is not in {VARIABLE}; add it there.")
        try:
            plain = key.cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], _bound_to(key))
        except (InvalidTag, ValueError) as error:
            raise Unavailable(
                f"A payload is not what the key {named!r} has encrypted: it was altered, or cut."
            ) from error
        return Payload.FromString(plain)


def _encrypted(key: PayloadKey, plain: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + key.cipher.encrypt(nonce, plain, _bound_to(key))


def _bound_to(key: PayloadKey) -> bytes:
    """Return what is authenticated beside the payload: this form, and the key that it names."""
    return f"placet payload 1\n{key.id}".encode()
