"""Timestamps of checkpoints (RFC 3161): an authority signs that a text was there at a moment.

What is dated is the text of a checkpoint, its three lines, whichever signatures follow them. A timestamp is kept as
the whole answer of the authority (a `.tsr` file), and is verified offline with the certificates that lead to its own.

The chain of certificates is followed here before the library verifies the signature: until its version 1.0.8 it took
whatever root an answer brought along for trusted, and so an answer that somebody had made with a root of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

LARGEST: Final = 100_000
"""Bytes of an answer that is read."""
MOST_CERTIFICATES: Final = 16
"""In an answer, and in a file of certificates."""
_SHA256 = "2.16.840.1.101.3.4.2.1"
_GRANTED = 0
# What the libraries raise for an answer, and for certificates in it, that are not as they should be.
_UNREADABLE = (
    VerificationError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A timestamp that was verified: the moment that the authority says, and the subject of its certificate."""

    at: datetime
    authority: str


def timestamp_query(text: str) -> TimeStampRequest:
    """Return what an authority is asked for a text: SHA-256, a random number, and its certificate with the answer."""
    return TimestampRequestBuilder().data(text.encode()).hash_algorithm(HashAlgorithm.SHA256).nonce().build()


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Read the certificates that are trusted (PEM); raises ValueError, also where none is that of a root."""
    found = x509.load_pem_x509_certificates(pem)
    if len(found) > MOST_CERTIFICATES:
        raise ValueError(f"there are more than {MOST_CERTIFICATES} certificates")
    if not any(_is_root(one) for one in found):
        raise ValueError("none of the certificates is that of a root, which is its own issuer")
    return found


def read_timestamp(answer: bytes, text: str, certificates: bytes, *, nonce: int | None = None) -> Timestamp:
    """Verify an authority's answer about a text; raises ValueError, which says what is wrong.

    The certificates (PEM) are all that is trusted. They have to be valid at the moment of the timestamp, not today.
    """
    if len(answer) > LARGEST:
        raise ValueError(f"the answer is longer than {LARGEST:,} bytes")
    trusted = read_certificates(certificates)
    try:
        read = decode_timestamp_response(answer)
        _check_status(read)
        info = read.tst_info
        at = info.gen_time.replace(tzinfo=UTC) if info.gen_time.tzinfo is None else info.gen_time.astimezone(UTC)
        signer = _signer(read, trusted, at)
        builder = VerifierBuilder(nonce=nonce, roots=[one for one in trusted if _is_root(one)])
        builder = builder.tsa_certificate(signer)
        for one in trusted:
            if not _is_root(one) and one != signer:
                builder = builder.add_intermediate_certificate(one)
        builder.build().verify(read, hashlib.sha256(text.encode()).digest())
    except _UNREADABLE as error:
        raise ValueError(f"the timestamp does not hold: {error}") from error
    return Timestamp(at=at, authority=signer.subject.rfc4514_string())


def _check_status(read: TimeStampResponse) -> None:
    if read.status != _GRANTED:
        said = "; ".join(read.status_string)[:200]
        raise ValueError(f"the authority did not grant it (status {read.status}{f': {said}' if said else ''})")
    if read.tst_info.message_imprint.hash_algorithm.dotted_string != _SHA256:
        raise ValueError("it is not about a SHA-256")


def _signer(read: TimeStampResponse, trusted: Sequence[x509.Certificate], at: datetime) -> x509.Certificate:
    """Return the certificate that has signed, once a trusted one leads to it; raises ValueError."""
    sent = read.signed_data.certificates
    if len(sent) > MOST_CERTIFICATES:
        raise ValueError(f"it brings more than {MOST_CERTIFICATES} certificates along")
    there = list(dict.fromkeys([*trusted, *map(x509.load_der_x509_certificate, sorted(sent))]))
    if len({one.serial_number for one in there}) < len(there):
        raise ValueError("two of its certificates have the same serial number")
    signers = list(read.signed_data.signer_infos)
    found = [one for one in there if len(signers) == 1 and one.serial_number == signers[0].serial_number]
    if not found or found[0].issuer != signers[0].issuer:
        raise ValueError("the certificate that has signed it is not among those given and those in it")
    _follow(found[0], there, set(trusted), at)
    return found[0]


def _follow(
    certificate: x509.Certificate, there: Iterable[x509.Certificate], trusted: set[x509.Certificate], at: datetime
) -> None:
    """Follow a certificate to a trusted one; raises ValueError where it does not lead there."""
    for _ in range(MOST_CERTIFICATES):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise ValueError(f"the certificate of {certificate.subject.rfc4514_string()} was not valid at {at}")
        if certificate in trusted:
            return
        issuer = next((one for one in there if one != certificate and _issued(one, certificate)), None)
        if issuer is None:
            break
        certificate = issuer
    raise ValueError("no trusted certificate leads to the one that has signed it")


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, x509.ExtensionNotFound, *_UNREADABLE):
        return False


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject
