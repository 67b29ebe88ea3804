"""Verifying a JWT of the identity provider: signature, issuer, audience, and its times."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from placet.errors import NotAuthenticated
from placet.sentences import sentence
from service.identity.oidc.provider import Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures by a public key alone: none by a shared secret, and never none."""
LEEWAY = 60
"""Seconds by which the clocks may differ."""
_OLDEST_LOGIN = 600  # seconds since an ID token was issued
_LATEST = 253_402_300_800  # the year 10,000, in seconds since 1970
_LONGEST = 16_000  # characters of a token


async def verify(
    provider: Provider, text: str, *, audience: str, now: datetime, nonce: str | None = None
) -> dict[str, Any]:
    """Return the claims of a JWT; raises NotAuthenticated that says what is wrong with it, and ProviderUnavailable.

    With `nonce` it is an ID token, which has to be new and for this log-in.
    """
    header = _header(text)
    if header.get("alg") not in ALGORITHMS:
        raise _refused("it is not signed by a public key")
    kid = header.get("kid")
    claims = await _decode(provider, text, kid if isinstance(kid, str) else None)
    seconds = int(now.timestamp())
    expected: dict[str, Any] = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": audience},
        "exp": {"essential": True},
        "iat": {"essential": True},
        "sub": {"essential": nonce is not None},
    }
    if nonce is not None:
        expected["nonce"] = {"essential": True, "value": nonce}
    try:
        JWTClaimsRegistry(now=seconds, leeway=LEEWAY, **expected).validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refused(str(error)) from error
    if nonce is not None:
        if seconds - int(claims["iat"]) > _OLDEST_LOGIN + LEEWAY:
            raise _refused("it was issued too long ago")
        others = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", audience) != audience or (len(others) > 1 and "azp" not in claims):
            raise _refused("it was issued to another program")
    return claims


async def _decode(provider: Provider, text: str, kid: str | None) -> dict[str, Any]:
    """Return the claims of a token with a good signature; raises NotAuthenticated, and ProviderUnavailable."""
    for renewed in (False, True):
        # A provider that names no keys may have changed its key as well; that is looked up once in a while.
        keys = await provider.keys(kid, renewed=renewed)
        try:
            return dict(jwt.decode(text, keys, algorithms=list(ALGORITHMS)).claims)
        except BadSignatureError as error:
            if renewed:
                raise _refused("its signature is wrong") from error
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused(str(error)) from error
    raise AssertionError("the second attempt returns or raises")


def authenticated_at(claims: Mapping[str, Any]) -> datetime | None:
    """Return when the person of a token has logged in at the provider; None where it does not say."""
    seconds = claims.get("auth_time")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def is_jwt(text: str) -> bool:
    """Whether a bearer token looks like a JWT, as no API token of ours does."""
    return text.count(".") == 2 and text.startswith("ey")


def _header(text: str) -> dict[str, Any]:
    try:
        if not is_jwt(text) or len(text) > _LONGEST:
            raise _refused("it is no JWT")
        first = text.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _refused("its header cannot be read") from error
    if not isinstance(header, dict):
        raise _refused("its header is no object")
    return header


def _refused(why: str) -> NotAuthenticated:
    return NotAuthenticated(sentence("The identity provider's token is not accepted: {why}. Log in again.", why=why))
