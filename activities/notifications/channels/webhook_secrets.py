"""The secrets that sign webhooks. They are looked up by reference and never stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from pathlib import Path

from pydantic import SecretStr

from activities.notifications.settings import NotifySettings
from placet.errors import InputInvalid, Problem

ENV_PREFIX = "PLACET_WEBHOOK_SECRET_"
"""How variables are called that hold a secret."""
_SHORTEST = 24  # bytes; Standard Webhooks asks for 24 to 64


class SecretMissing(InputInvalid):
    """The secret to sign a webhook with is missing or invalid."""


class WebhookSecrets:
    """Look up `derived:<n>` (from the installation's secret), `env:PLACET_WEBHOOK_SECRET_…` and `file:<name>`."""

    def __init__(self, installation_secret: str, settings: NotifySettings) -> None:
        self._installation = installation_secret
        self._folder = settings.webhook_secrets_dir

    def get(self, reference: str, endpoint_id: str) -> SecretStr:
        """Return a secret as `whsec_…`; raises SecretMissing that says what to do."""
        kind, _, name = reference.partition(":")
        if kind == "derived" and re.fullmatch(r"[0-9]{1,6}", name):
            about = f"placet.webhook:{endpoint_id}:{int(name)}".encode()
            digest = hmac.new(self._installation.encode(), about, hashlib.sha256).digest()
            return SecretStr("whsec_" + base64.b64encode(digest).decode())
        if kind == "env" and re.fullmatch(ENV_PREFIX + r"[A-Z0-9_]{1,80}", name):
            return _checked(os.environ.get(name), f"the variable {name} is not set")
        if kind == "file" and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name) and self._folder:
            path = Path(self._folder) / name
            return _checked(path.read_text().strip() if path.is_file() else None, f"there is no file {name}")
        raise _missing(f"write derived:1, env:{ENV_PREFIX}NAME, or file:NAME with PLACET_WEBHOOK_SECRETS_DIR set")


def _checked(found: str | None, otherwise: str) -> SecretStr:
    if not found:
        raise _missing(otherwise)
    try:
        raw = base64.b64decode(found.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise _missing("the secret is not base64 after whsec_") from error
    if len(raw) < _SHORTEST:
        raise _missing(f"the secret is shorter than {_SHORTEST} bytes")
    return SecretStr(found)


def _missing(why: str) -> SecretMissing:
    problems = (Problem(pointer="/secret_ref", message=why),)
    return SecretMissing(f"The webhook's secret cannot be used: {why}.", problems=problems)
