"""Until when certificates are valid that this process connects with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from placet.errors import InputInvalid
from placet.sentences import sentence

SOON: Final = timedelta(days=14)
"""How long before its end a certificate has to be renewed; the alert rule has the same number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One use of certificates, such as `engine_client`, and when the first of its file ends."""

    use: str
    ends: datetime


def certificates_of(files: Mapping[str, bytes | None]) -> list[Certificate]:
    """Return until when the certificates of PEM files are valid, by their use; raises InputInvalid for what is none.

    Of a bundle of roots, those that have ended are left out while another one is valid longer: it is the last that
    counts there. Of a chain, the first to end.
    """
    found: list[Certificate] = []
    for use, content in files.items():
        if content is None:
            continue
        from cryptography.x509 import load_pem_x509_certificates  # most installations need no such library

        try:
            ends = [each.not_valid_after_utc for each in load_pem_x509_certificates(content)]
        except ValueError:
            raise InputInvalid(
                sentence("The certificate file for {use} holds no certificate in PEM; name one that does.", use=use)
            ) from None
        found.append(Certificate(use=use, ends=max(ends) if use.endswith("_authority") else min(ends)))
    return found
