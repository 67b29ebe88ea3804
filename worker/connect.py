"""Reach the engine: read where it is and how it is secured, and connect to it."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS, DataSource
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from activities.secret_files import secret_of
from placet.errors import InputInvalid, Unavailable
from worker.converter import converter_with
from worker.key_ring import VARIABLE, KeyRing
from worker.payload_codec import EncryptingCodec
from worker.sdk_log import plain_runtime

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

    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What every call carries beside, never shown."""
    payload_keys: KeyRing | None = field(default=None, compare=False)
    """The keys that encrypt payloads; None leaves them readable."""
    named: bool = False
    """Whether somebody named the address: without that, an engine of our own may be used."""

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> EngineSettings:
        """Read the TEMPORAL_… variables, the profile that they name, and the keys of payloads.

        Raises InputInvalid with place and remedy. The SDK reads both, as for every program on Temporal
        (temporalio.envconfig). A file is read only where TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE asks for it: requests
        must not go where the command line was last used.
        """
        given = _given(os.environ if environ is None else environ)
        profile = _profile(given)
        address = profile.address or DEFAULT_ADDRESS
        host = _host(address, given)
        tls = _tls(profile, given)
        secret = "TEMPORAL_API_KEY" if profile.api_key else "authorization" if _authorised(profile) else None
        if secret and tls is None and not _loopback(host):
            raise InputInvalid(f"TEMPORAL_TLS is off while {secret} is set: the key would travel in clear text.")
        return cls(
            address=address,
            namespace=profile.namespace or "default",
            rehearsal_namespace=given.get("PLACET_REHEARSAL_NAMESPACE", "placet-rehearsal"),
            api_key=profile.api_key or None,
            tls=tls,
            metadata=dict(profile.grpc_meta),
            payload_keys=KeyRing(Path(given[VARIABLE]).expanduser()) if VARIABLE in given else None,
            named=profile.address is not None,
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
    keys = settings.payload_keys
    try:
        return await Client.connect(
            settings.address,
            namespace=namespace or settings.namespace,
            api_key=settings.api_key,
            tls=settings.tls or False,
            rpc_metadata=settings.metadata,
            data_converter=converter_with(EncryptingCodec(keys) if keys is not None else None),
            interceptors=interceptors,
            runtime=runtime or plain_runtime(),
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


# What the Temporal command line called them before; the SDK knows the names on the right.
_ALIASES = {
    "TEMPORAL_TLS_CA": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "TEMPORAL_TLS_CERT": "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "TEMPORAL_TLS_KEY": "TEMPORAL_TLS_CLIENT_KEY_PATH",
}
_TLS = {
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_SERVER_NAME",
    *_ALIASES,
    *_ALIASES.values(),
    *(name.replace("_PATH", "_DATA") for name in _ALIASES.values()),
}
_API_KEY = "TEMPORAL_API_KEY"
_NOT_VERIFIED = "it would have the connection accept any server; name the authority in TEMPORAL_TLS_CA instead"


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are not empty; raises InputInvalid for one about TLS that nobody would read."""
    given = {name: value for name, value in environ.items() if value}
    for name in sorted(given):
        if name == "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION":
            raise InputInvalid(f"{name} is set, which Placet does not do: {_NOT_VERIFIED}.")
        if name.startswith("TEMPORAL_TLS") and name not in _TLS:
            near = get_close_matches(name, _TLS, n=1)
            meant = f"did you mean {near[0]}?" if near else "see docs/operations.md for those that are."
            raise InputInvalid(f"{name} is not a variable that is known; {meant}")
    if key := secret_of(given, _API_KEY):
        given[_API_KEY] = key
    given.pop(f"{_API_KEY}_FILE", None)
    for old, new in _ALIASES.items():
        for other in (new, new.replace("_PATH", "_DATA")):
            if old in given and other in given:
                raise InputInvalid(f"{old} and {other} are both set: remove one.")
    return given


def _profile(given: Mapping[str, str]) -> ClientConfigProfile:
    """Have the SDK read the variables and, where they ask for one, a profile of a file."""
    switch = _flag(given, "TEMPORAL_TLS")
    variables = {_ALIASES.get(name, name): value for name, value in given.items() if name.startswith("TEMPORAL_")}
    if switch is not None:
        variables["TEMPORAL_TLS"] = str(switch).lower()
    file = _file(given)
    content = None if file is None else _toml(file, given)
    try:
        return ClientConfigProfile.load(
            config_source=content, disable_file=content is None, config_file_strict=True, override_env_vars=variables
        )
    except RuntimeError as error:
        where = "The TEMPORAL_… variables" if file is None else f"The Temporal profiles in {file}"
        raise InputInvalid(f"{where} cannot be used: {error}") from error


def _file(given: Mapping[str, str]) -> Path | None:
    """Return the file of profiles that is asked for; a profile without a file is where all of Temporal looks for it."""
    if file := given.get("TEMPORAL_CONFIG_FILE"):
        return Path(file).expanduser()
    if "TEMPORAL_PROFILE" not in given:
        return None
    home = Path(given.get("HOME", "~")).expanduser()
    folder = {
        "darwin": home / "Library" / "Application Support",
        "win32": Path(given.get("APPDATA", home)),
    }.get(sys.platform, Path(given.get("XDG_CONFIG_HOME", home / ".config")))
    return folder / "temporalio" / "temporal.toml"


def _toml(file: Path, given: Mapping[str, str]) -> bytes:
    """Read a file of profiles; raises InputInvalid for what it asks and no client of ours does."""
    variable = "TEMPORAL_CONFIG_FILE" if "TEMPORAL_CONFIG_FILE" in given else "TEMPORAL_PROFILE"
    try:
        content = file.read_bytes()
        profiles = tomllib.loads(content.decode()).get("profile", {})
    except OSError as error:
        raise InputInvalid(f"{variable} asks for {file}, which cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputInvalid(f"{variable} asks for {file}, which is no TOML: {error}.") from error
    name = given.get("TEMPORAL_PROFILE", "default")
    profile = profiles.get(name, {}) if isinstance(profiles, dict) else {}
    if not isinstance(profile, dict) or not profile:
        raise InputInvalid(f"{file} has no profile {name!r}; TEMPORAL_PROFILE names the one to use.")
    tls = profile.get("tls")
    if isinstance(tls, dict) and tls.get("disable_host_verification"):
        raise InputInvalid(f"{file}, profile {name!r}: disable_host_verification is on: {_NOT_VERIFIED}.")
    if "codec" in profile:
        raise InputInvalid(f"{file}, profile {name!r}: remove codec; {VARIABLE} names the keys of payloads.")
    return content


def _host(address: str, given: Mapping[str, str]) -> str:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", address)
    if not found or not 0 < int(found[2]) < 65536:
        name = _named(given, "TEMPORAL_ADDRESS", field="address")
        raise InputInvalid(f"{name} is {address!r}: write host:port without a scheme, such as 127.0.0.1:7233.")
    return found[1].strip("[]")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorised(profile: ClientConfigProfile) -> bool:
    return any(name.lower() == "authorization" for name in profile.grpc_meta)


def _tls(profile: ClientConfigProfile, given: Mapping[str, str]) -> TLSConfig | None:
    """Return the certificates to use; an API key makes TLS the default, and so does anything that is said of it."""
    said = profile.tls or ClientConfigTLS()
    certificate = _content(said.client_cert, given, "CERT")
    key = _content(said.client_private_key, given, "KEY")
    authority = _content(said.server_root_ca_cert, given, "CA")
    for given_, missing, here in (("CERT", "KEY", (certificate, key)), ("KEY", "CERT", (key, certificate))):
        if here[0] and not here[1]:
            raise InputInvalid(
                f"TEMPORAL_TLS_{given_} is set without TEMPORAL_TLS_{missing}: a client certificate needs both."
            )
    details = any((certificate, key, authority, said.server_name))
    if said.disabled and details:
        raise InputInvalid(
            "TEMPORAL_TLS is off while other TEMPORAL_TLS_… variables are set: remove one or the others."
        )
    if said.disabled or not (said.disabled is False or details or profile.api_key):
        return None
    return TLSConfig(
        server_root_ca_cert=authority, domain=said.server_name, client_cert=certificate, client_private_key=key
    )


def _flag(given: Mapping[str, str], name: str) -> bool | None:
    value = given.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if not value:
        return None
    raise InputInvalid(f"{name} is {value!r}: write true or false.")


_FIELDS = {"CA": "server_ca_cert", "CERT": "client_cert", "KEY": "client_key"}  # of a profile


def _content(source: DataSource | None, given: Mapping[str, str], kind: str) -> bytes | None:
    """Read what a certificate's setting holds or names."""
    if source is None:
        return None
    path = _ALIASES[f"TEMPORAL_TLS_{kind}"]
    data = path.replace("_PATH", "_DATA")
    name = _named(given, f"TEMPORAL_TLS_{kind}", path, data, field=f"tls.{_FIELDS[kind]}")
    if not isinstance(source, Path):
        content, shown = source.encode() if isinstance(source, str) else source, "set"
    else:
        shown = str(source)
        try:
            content = source.expanduser().read_bytes()
        except OSError as error:
            raise InputInvalid(
                f"{name} is {source}, which cannot be read ({error.strerror}): name a PEM file."
            ) from error
    if b"-----BEGIN " not in content:
        raise InputInvalid(f"{name} is {shown}, which is no PEM file: it has no BEGIN line.")
    return content


def _named(given: Mapping[str, str], *variables: str, field: str) -> str:
    """Return what a setting is called where it was made: a variable, or the field of a profile."""
    return next(
        (name for name in variables if name in given),
        f"{field} of the Temporal profile {given.get('TEMPORAL_PROFILE', 'default')!r}",
    )
