"""A passkey in software, for tests: it makes a credential and answers challenges, as the test wants it to."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

_PRESENT, _VERIFIED, _WITH_KEY = 0x01, 0x04, 0x40


@dataclass
class SoftPasskey:
    """A passkey for one site; `verified` says whether it has asked for a finger or a PIN."""

    origin: str
    rp_id: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    count: int = 0
    verified: bool = True

    def make(self, options: str) -> str:
        """Answer the options of a registration."""
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        added = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        made = {"fmt": "none", "attStmt": {}, "authData": self._data(_WITH_KEY) + added}
        client = self._client("webauthn.create", options)
        return self._said(clientDataJSON=client, attestationObject=cbor2.dumps(made))

    def answer(self, options: str, **changes: Any) -> str:
        """Answer a challenge; `changes` are of what the browser says of the call."""
        self.count += 1
        client, data = self._client("webauthn.get", options, **changes), self._data()
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._said(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, more: int = 0) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verified else 0) | more
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, options: str, **changes: Any) -> bytes:
        said = {"type": kind, "challenge": json.loads(options)["challenge"], "origin": self.origin, **changes}
        return json.dumps(said).encode()

    def _said(self, **response: bytes) -> str:
        name = bytes_to_base64url(self.id)
        told = {key: bytes_to_base64url(value) for key, value in response.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": told})


def challenge_of(options: str) -> bytes:
    """Return the challenge in the options of a page."""
    return base64url_to_bytes(json.loads(options)["challenge"])
