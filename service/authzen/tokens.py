"""Binding tokens: what a denial is bound to, as a signed JWT (Ed25519) that a client carries and does not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from placet.errors import AccessRequestRefused

_PURPOSE = b"placet authzen binding"
_ALGORITHM = "Ed25519"
_LONGEST = 8_000  # characters of a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A denial that may be requested, as its token says: what it is bound to, for whom, and until when."""

    evaluation_id: str
    expires_at: datetime
    template: str
    client: str  # the person who evaluated
    binding_hash: str
    members: tuple[str, ...]


class BindingTokens:
    """Signs and reads the tokens of denials with a key that is derived from the installation's secret."""

    def __init__(self, secret: str, issuer: str) -> None:
        """`issuer` is what PDP and Access Request Service are called, which are one here."""
        seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
        self._key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))
        self._kid = str(self._key.thumbprint())
        self._issuer = issuer

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys, as a JWK Set."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": _ALGORITHM}]}

    def issue(self, denial: Denial, now: datetime) -> str:
        """Return the token of a denial."""
        expires = int(denial.expires_at.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "iat": int(now.timestamp()),
            "exp": expires,
            "jti": denial.evaluation_id,
            "evaluation_id": denial.evaluation_id,
            "denial_expires_at": written(denial.expires_at),
            "binding_context_members": list(denial.members),
            "binding_hash": denial.binding_hash,
            "template": denial.template,
            "client": denial.client,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._kid}, claims, self._key, algorithms=[_ALGORITHM])

    def read(self, text: str) -> Denial:
        """Return what a token says; raises AccessRequestRefused. How old it is, the caller compares."""
        if len(text) > _LONGEST:
            raise _unbound()
        try:
            claims: Mapping[str, Any] = jwt.decode(text, self._key, algorithms=[_ALGORITHM]).claims
            if claims["iss"] != self._issuer or self._issuer not in _listed(claims["aud"]):
                raise _unbound()
            return Denial(
                evaluation_id=str(claims["evaluation_id"]),
                expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
                template=str(claims["template"]),
                client=str(claims["client"]),
                binding_hash=str(claims["binding_hash"]),
                members=tuple(str(name) for name in claims["binding_context_members"]),
            )
        except (JoseError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise _unbound() from error


def written(at: datetime) -> str:
    """Return a moment in whole seconds, as RFC 3339 has it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed(audience: Any) -> list[Any]:
    return audience if isinstance(audience, list) else [audience]


def _unbound() -> AccessRequestRefused:
    return AccessRequestRefused(
        "The binding token was not signed here for a denial, or was changed; evaluate again and send it as it is.",
        code="invalid_denial_binding",
    )
