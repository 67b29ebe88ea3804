"""Reach the engine: read where it is and how it is secured, and connect to it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, Interceptor
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from placet.errors import InputInvalid, Unavailable
from worker.converter import DATA_CONVERTER

DEFAULT_ADDRESS = "127.0.0.1:7233"

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Tell how to reach an engine."""

    address: str = DEFAULT_ADDRESS
    """`host:port` of the frontend."""
    namespace: str = "default"
    """Where requests run."""
    rehearsal_namespace: str = "placet-rehearsal"
    """Where rehearsals run, away from everything real."""
    api_key: str | None = field(default=None, repr=False)
    """Temporal Cloud's API key, never shown."""
    tls: TLSConfig | None = field(default=None, repr=False)
    """Certificates, read already; None for a plain connection."""

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> EngineSettings:
        """Read the TEMPORAL_… variables; raises InputInvalid with the variable and the remedy."""
        environ = os.environ if environ is None else environ
        address = environ.get("TEMPORAL_ADDRESS") or DEFAULT_ADDRESS
        host = _host(address)
        api_key = environ.get("TEMPORAL_API_KEY") or None
        tls = _tls(environ, wanted=api_key is not None)
        if api_key and tls is None and not _loopback(host):
            raise InputInvalid("TEMPORAL_TLS is off while TEMPORAL_API_KEY is set: the key would travel in clear text.")
        return cls(
            address=address,
            namespace=environ.get("TEMPORAL_NAMESPACE") or "default",
            rehearsal_namespace=environ.get("PLACET_REHEARSAL_NAMESPACE") or "placet-rehearsal",
            api_key=api_key,
            tls=tls,
        )


async def connect(
    settings: EngineSettings,
    *,
    namespace: str | None = None,
    interceptors: Sequence[Interceptor] = (),
    runtime: Runtime | None = None,
    identity: str | None = None,
) -> Client:
    """Connect to the engine, in `settings.namespace` unless another is given; raises Unavailable."""
    try:
        return await Client.connect(
            settings.address,
            namespace=namespace or settings.namespace,
            api_key=settings.api_key,
            tls=settings.tls or False,
            data_converter=DATA_CONVERTER,
            interceptors=interceptors,
            runtime=runtime,
            identity=identity,
        )
    except RuntimeError as error:  # the SDK's word for everything from a refused connection to a bad certificate
        raise Unavailable(
            f"The Temporal server at {settings.address} cannot be reached: {reason_of(error)}."
        ) from error


# What the SDK says of a certificate, in words.
_CERTIFICATES = {
    "UnknownIssuer": "its certificate is not signed by an authority that is trusted here; see TEMPORAL_TLS_CA",
    "NotValidForName": "its certificate is for another name; see TEMPORAL_TLS_SERVER_NAME",
    "NotValidForNameContext": "its certificate is for another name; see TEMPORAL_TLS_SERVER_NAME",
    "Expired": "its certificate has expired",
}


def reason_of(error: BaseException) -> str:
    """Return in words why a connection failed; the SDK shows the insides of its libraries."""
    said = str(error)
    if (found := re.search(r"InvalidCertificate\((\w+)", said)) is not None:
        return _CERTIFICATES.get(found[1], f"its certificate is not accepted ({found[1]})")
    if "InvalidContentType" in said or "CorruptMessage" in said:
        return "it does not speak TLS; see TEMPORAL_TLS"
    if quoted := re.findall(r'(?:message|error): "([^"]+)"', said):
        return str(quoted[-1])[0].lower() + str(quoted[-1])[1:]
    if "transport::Error" not in said:
        return said.removeprefix("Failed client connect: ")
    return "it hangs up or does not answer"


def _host(address: str) -> str:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", address)
    if not found or not 0 < int(found[2]) < 65536:
        raise InputInvalid(
            f"TEMPORAL_ADDRESS is {address!r}: write host:port without a scheme, such as 127.0.0.1:7233."
        )
    return found[1].strip("[]")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls(environ: Mapping[str, str], *, wanted: bool) -> TLSConfig | None:
    """Return the certificates to use; `wanted` says whether TLS is the default, which any TLS variable makes it too."""
    certificate = _content(environ, "TEMPORAL_TLS_CERT")
    key = _content(environ, "TEMPORAL_TLS_KEY")
    authority = _content(environ, "TEMPORAL_TLS_CA")
    server_name = environ.get("TEMPORAL_TLS_SERVER_NAME") or None
    for given, missing, here in (("CERT", "KEY", (certificate, key)), ("KEY", "CERT", (key, certificate))):
        if here[0] and not here[1]:
            raise InputInvalid(
                f"TEMPORAL_TLS_{given} is set without TEMPORAL_TLS_{missing}: a client certificate needs both."
            )
    details = any((certificate, key, authority, server_name))
    switch = _flag(environ, "TEMPORAL_TLS")
    if switch is False and details:
        raise InputInvalid(
            "TEMPORAL_TLS is off while other TEMPORAL_TLS_… variables are set: remove one or the others."
        )
    if switch is False or not (switch or details or wanted):
        return None
    return TLSConfig(server_root_ca_cert=authority, domain=server_name, client_cert=certificate, client_private_key=key)


def _flag(environ: Mapping[str, str], name: str) -> bool | None:
    value = environ.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if not value:
        return None
    raise InputInvalid(f"{name} is {value!r}: write true or false.")


def _content(environ: Mapping[str, str], name: str) -> bytes | None:
    value = environ.get(name)
    if not value:
        return None
    try:
        content = Path(value).expanduser().read_bytes()
    except OSError as error:
        raise InputInvalid(f"{name} is {value}, which cannot be read ({error.strerror}): name a PEM file.") from error
    if b"-----BEGIN " not in content:
        raise InputInvalid(f"{name} is {value}, which is no PEM file: it has no BEGIN line.")
    return content
