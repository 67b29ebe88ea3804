"""Logging in at the identity provider: the authorisation code flow with PKCE, state and nonce."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from itsdangerous import BadData, SignatureExpired

from activities.timed_signatures import TimedSignatures
from placet.errors import NotAuthenticated
from placet.sentences import sentence
from service import security_log
from service.context import Context
from service.identity import failures, login, step_up
from service.identity.oidc.people import access_of, holder_of, scopes_of
from service.identity.oidc.verification import authenticated_at, is_jwt, verify
from service.identity.settings import OidcSettings, settings_of
from service.principal import Principal, principal_of
from storage.queries.identity.sessions import ProviderSession

MINUTES = 10
"""How long somebody may take at the provider."""
_WAY = "identity provider"
_SHOWN = 200  # characters of what the provider says of an error
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A log-in that has begun; the browser keeps it, signed, until it comes back from the provider."""

    state: str
    nonce: str
    verifier: str
    next: str
    redirect_uri: str
    step_up: str = ""  # the id of the decision that it is to sign; else it opens a session
    begun_at: float = 0.0  # seconds since 1970


async def begin(
    context: Context, secret: str, *, redirect_uri: str, next_path: str, fresh: bool = False, step_up: str = ""
) -> tuple[str, str]:
    """Return the provider's address to go to, and what the browser keeps; raises NotFound without a provider.

    With `fresh`, or for a step-up, the provider has to ask the person anew who they are.
    """
    settings = settings_of(context.identity)
    begun = Begun(
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        verifier=secrets.token_urlsafe(48),
        next=next_path,
        redirect_uri=redirect_uri,
        step_up=step_up,
        begun_at=context.now().timestamp(),
    )
    asked_anew = {"prompt": "login", "max_age": "0"} if fresh or step_up else {}
    address = prepare_grant_uri(
        await context.oidc.endpoint("authorization_endpoint"),
        client_id=settings.client_id,
        response_type="code",
        redirect_uri=redirect_uri,
        scope=settings.scopes,
        state=begun.state,
        nonce=begun.nonce,
        code_challenge=create_s256_code_challenge(begun.verifier),
        code_challenge_method="S256",
        **asked_anew,
    )
    return address, _signatures(secret, context).sign(asdict(begun))


async def finish(
    context: Context,
    secret: str,
    kept: str | None,
    answer: dict[str, str],
    *,
    address: str,
    user_agent: str,
    visitor: Principal | None = None,
) -> tuple[str | None, str]:
    """Open a session from what the provider sent back; return its cookie and where to go.

    A step-up opens none: it proves who the `visitor` of this browser is. Its cookie is None.

    Raises NotAuthenticated and NotPermitted that say what to do, Busy at a rate limit, and ProviderUnavailable.
    """
    settings = settings_of(context.identity)
    await failures.require(context, _WAY, address=address)
    try:
        begun = _begun(context, secret, kept, answer.get("state"))
        id_token, claims = await _claims(context, settings, begun, answer)
    except NotAuthenticated as error:
        _log.warning("oidc_login_refused", reason=error.message)
        await failures.note(context, _WAY, address=address, status=401)
        raise
    with security_log.refusals("log_in_failed", way=_WAY, address=address, status=403):
        held = await context.database.read(holder_of, settings, claims)
    if begun.step_up:
        await step_up.prove_by_provider(
            context, visitor, begun.step_up, person=held.person, claims=claims, begun_at=begun.begun_at
        )
        return None, begun.next
    named = claims.get("sid")
    value = await login.open_session(
        context,
        held.person,
        method="oidc",
        address=address,
        user_agent=user_agent,
        access=access_of(settings, claims),
        authenticated_at=authenticated_at(claims),
        provider=ProviderSession(
            id_token=id_token, subject=str(claims["sub"]), session=named if isinstance(named, str) else None
        ),
    )
    return value, begun.next


async def by_jwt(context: Context, text: str, *, address: str) -> Principal | None:
    """Return whom a bearer JWT stands for; None where this installation takes none. Raises NotAuthenticated."""
    settings = context.identity.oidc
    if settings is None or settings.audience is None or not is_jwt(text):
        return None
    claims = await verify(context.oidc, text, audience=settings.audience, now=context.now())
    held = await context.database.read(holder_of, settings, claims, services=True)
    if context.oidc.is_first_use(text):
        security_log.note("authenticated", way="jwt", person=held.person, address=address)
    held = replace(held, scopes=scopes_of(settings, claims))
    principal = principal_of(held, granted=access_of(settings, claims))
    return replace(principal, channel="jwt", authenticated_at=authenticated_at(claims))


def _begun(context: Context, secret: str, kept: str | None, state: str | None) -> Begun:
    """Return the log-in that this browser began; raises NotAuthenticated."""
    signatures = _signatures(secret, context)
    try:
        value, at = signatures.read(kept or "")
        if signatures.is_older(at, timedelta(minutes=MINUTES)):
            raise SignatureExpired("it was begun too long ago")
        begun = Begun(**value)
    except (BadData, TypeError) as error:
        raise NotAuthenticated(
            sentence(
                "This log-in was not begun in this browser, or took longer than {minutes} minutes. Log in again.",
                minutes=MINUTES,
            )
        ) from error
    if not hmac.compare_digest(begun.state.encode(), (state or "").encode()):
        raise NotAuthenticated("The answer belongs to another log-in than this browser's. Log in again.")
    return begun


async def _claims(
    context: Context, settings: OidcSettings, begun: Begun, answer: dict[str, str]
) -> tuple[str, dict[str, Any]]:
    """Exchange the code for the ID token and return it with its claims; raises NotAuthenticated."""
    provider = context.oidc
    if answer.get("iss", provider.issuer) != provider.issuer:
        raise NotAuthenticated("The answer comes from another identity provider. Log in again.")
    if "code" not in answer:
        said = answer.get("error_description") or answer.get("error") or "nothing"
        raise NotAuthenticated(
            sentence("The identity provider did not log you in; it says: {said}. Log in again.", said=said[:_SHOWN])
        )
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": begun.redirect_uri,
        "code_verifier": begun.verifier,
    }
    auth = None
    if settings.client_secret is None:
        form["client_id"] = settings.client_id
    else:
        auth = settings.client_id, settings.client_secret
    tokens = await provider.post(await provider.endpoint("token_endpoint"), form, auth)
    text = tokens.get("id_token")
    if not isinstance(text, str):
        said = str(tokens.get("error_description") or tokens.get("error") or "no ID token")
        raise NotAuthenticated(
            sentence("The identity provider did not accept the log-in: {said}. Log in again.", said=said[:_SHOWN])
        )
    claims = await verify(provider, text, audience=settings.client_id, now=context.now(), nonce=begun.nonce)
    return text, claims


def _signatures(secret: str, context: Context) -> TimedSignatures:
    return TimedSignatures(secret, salt="placet.oidc", clock=context.now)
