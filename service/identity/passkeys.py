"""Passkeys (WebAuthn): registered by their person on a page of ours, and asked for when a decision is signed.

A challenge is made here, answered once, for one purpose of one person, and for a few minutes.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from placet.errors import InputInvalid, NotFound, ProofRefused, ReauthenticationRequired
from placet.sentences import sentence
from service import security_log
from service.context import Context
from service.identity.login import Session
from service.principal import Principal
from storage.queries.identity import passkeys
from storage.queries.identity.passkeys import StoredPasskey
from storage.tables.identity import PasskeyChallenge

LASTS = timedelta(minutes=5)
"""How long a challenge can be answered."""
REGISTER: Final = "register"
MOST = 20  # passkeys of one person
_LONGEST_NAME = 100
_LONGEST_ANSWER = 20_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where passkeys are valid: the relying party's id, which is a host name, and the origin of our pages."""

    rp_id: str
    origin: str


def site_of(context: Context, base_url: str) -> Site | None:
    """Return the site of passkeys as it is set; None where there can be none: they need a host name and https.

    `base_url` is where the browser says that it is, which counts on this machine alone.
    """
    said = context.identity.passkey_origin or context.notify.public_url
    parts = urlsplit(said or base_url)
    host = parts.hostname or ""
    here = host == "localhost" or host.endswith(".localhost")
    if _is_address(host) or not host or (parts.scheme != "https" and not here) or (said is None and not here):
        return None
    return Site(rp_id=host, origin=f"{parts.scheme}://{parts.netloc}")


def require_site(context: Context, base_url: str) -> Site:
    """Return the site of passkeys; raises ProofRefused where there is none."""
    site = site_of(context, base_url)
    if site is None:
        raise ProofRefused("Passkeys do not work at this address. Nothing has happened.")
    return site


async def of_person(context: Context, person: str) -> list[StoredPasskey]:
    """Return the passkeys of a person, oldest first."""
    return await context.database.read(passkeys.of_person, person)


def require_fresh(context: Context, session: Session | None) -> None:
    """Raise ReauthenticationRequired unless the session's person has just proven who they are.

    Whoever finds an open browser must not be able to add a passkey of their own, and sign with it.
    """
    at = None if session is None else session.authenticated_at
    if at is not None and context.now() - at <= context.identity.sign_within:
        return
    raise ReauthenticationRequired(
        sentence(
            "Passkeys are added and removed within {minutes} minutes after a log-in. Nothing was changed; "
            "log in again, and come back to this page.",
            minutes=context.identity.sign_minutes,
        ),
        where="/me/passkeys",
    )


async def registration(context: Context, principal: Principal, site: Site) -> str:
    """Return what the browser makes a passkey with, as JSON."""
    known = await of_person(context, principal.person)
    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name="Placet",
        user_name=principal.person,
        user_id=hashlib.sha256(f"placet:{principal.person}".encode()).digest(),
        user_display_name=principal.name or principal.person,
        challenge=await _asked(context, principal, REGISTER),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_named(known),
    )
    return options_to_json(options)


async def register(
    context: Context, principal: Principal, session: Session | None, site: Site, *, answer: str, name: str
) -> None:
    """Keep a passkey that a browser has made; raises ProofRefused, ReauthenticationRequired and InputInvalid."""
    require_fresh(context, session)
    if principal.actor_type != "person":
        raise ProofRefused("Passkeys are for people; a service or an agent signs nothing.")
    challenge = await _answered(context, principal, REGISTER, answer)
    try:
        made = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise ProofRefused(
            sentence("The passkey could not be added: {error}. Nothing was changed; try again.", error=error)
        ) from error
    now = context.now()
    passkey = StoredPasskey(
        id=bytes_to_base64url(made.credential_id),
        person=principal.person,
        name=name.strip()[:_LONGEST_NAME] or f"Passkey of {now:%Y-%m-%d}",
        public_key=bytes_to_base64url(made.credential_public_key),
        sign_count=made.sign_count,
        created_at=now,
        last_used_at=None,
    )
    if len(await of_person(context, principal.person)) >= MOST:
        raise InputInvalid.at("/name", sentence("there are {most} passkeys already; remove one first", most=MOST))
    if not await context.database.write(passkeys.add, passkey):
        raise ProofRefused("This passkey is known already. Nothing was changed.")
    security_log.note("passkey_added", person=principal.person)


async def remove(context: Context, principal: Principal, session: Session | None, passkey_id: str) -> None:
    """Remove a passkey of the caller; raises ReauthenticationRequired and NotFound."""
    require_fresh(context, session)
    if not await context.database.write(passkeys.remove, principal.person, passkey_id):
        raise NotFound("You have no such passkey. Load the page again.")
    security_log.note("passkey_removed", person=principal.person)


async def question(context: Context, principal: Principal, purpose: str, site: Site) -> str | None:
    """Return what the browser asks a passkey with, as JSON; None where the caller has no passkey."""
    known = await of_person(context, principal.person)
    if not known:
        return None
    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=await _asked(context, principal, purpose),
        allow_credentials=_named(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


async def require_answer(context: Context, principal: Principal, purpose: str, site: Site, answer: str) -> None:
    """Raise ProofRefused unless this is the answer of the caller's passkey to a challenge for this purpose."""
    challenge = await _answered(context, principal, purpose, answer)
    known = {one.id: one for one in await of_person(context, principal.person)}
    passkey = known.get(_text(answer, "rawId"))
    if passkey is None:
        raise ProofRefused("This passkey is not one of yours here. Nothing was decided; choose another.")
    try:
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise ProofRefused(
            sentence("The passkey's answer does not hold: {error}. Nothing was decided; try again.", error=error)
        ) from error
    noted = await context.database.write(passkeys.note_use, passkey, verified.new_sign_count, context.now())
    if not noted:
        raise ProofRefused("This passkey was used elsewhere at the same time. Nothing was decided; try again.")


async def _asked(context: Context, principal: Principal, purpose: str) -> bytes:
    """Return a new challenge."""
    challenge = secrets.token_bytes(32)
    row = PasskeyChallenge(
        challenge=bytes_to_base64url(challenge),
        person=principal.person,
        purpose=purpose,
        expires_at=context.now() + LASTS,
    )
    await context.database.write(passkeys.ask, row)
    return challenge


async def _answered(context: Context, principal: Principal, purpose: str, answer: str) -> bytes:
    """Use up the challenge that an answer is to, and return it; raises ProofRefused where it is none of ours."""
    try:
        client = json.loads(base64url_to_bytes(_text(answer, "response", "clientDataJSON")))
        challenge = client["challenge"]
        taken = isinstance(challenge, str) and await context.database.write(
            passkeys.take, challenge[:100], person=principal.person, purpose=purpose, now=context.now()
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProofRefused("The passkey's answer cannot be read. Nothing has happened; try again.") from error
    if not taken:
        raise ProofRefused(
            "This answer of a passkey was used before, has expired, or is about something else. Nothing has happened; "
            "load the page again, and confirm anew."
        )
    return base64url_to_bytes(challenge)


def _text(answer: str, *path: str) -> str:
    """Return a text in the answer of a browser; raises ValueError, KeyError and TypeError."""
    if len(answer) > _LONGEST_ANSWER:
        raise ValueError("it is too long")
    found = json.loads(answer)
    for name in path:
        found = found[name]
    if not isinstance(found, str):
        raise TypeError(f"{path[-1]} is no text")
    return found


def _named(known: Sequence[StoredPasskey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in known]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
