"""How the engine is reached: the TEMPORAL_… variables."""

import json
import os
import re
from pathlib import Path

import pytest

from placet.errors import InputInvalid, Unavailable
from worker.connect import EngineSettings, connect

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "some.pem"
    path.write_text(PEM)
    return str(path)


def test_without_variables_it_is_a_plain_connection_to_this_machine() -> None:
    settings = EngineSettings.read({})
    assert (settings.address, settings.namespace, settings.tls) == ("127.0.0.1:7233", "default", None)
    assert settings.rehearsal_namespace == "placet-rehearsal"


def test_an_api_key_brings_tls_and_is_never_shown() -> None:
    environ = {"TEMPORAL_ADDRESS": "x.api.temporal.io:7233", "TEMPORAL_API_KEY": "secret", "TEMPORAL_NAMESPACE": "a.b"}
    settings = EngineSettings.read(environ)
    assert settings.tls is not None
    assert (settings.api_key, settings.namespace) == ("secret", "a.b")
    assert "secret" not in repr(settings)


def test_certificates_are_read_and_bring_tls(pem: str) -> None:
    names = ("TEMPORAL_TLS_CA", "TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY")
    settings = EngineSettings.read({**dict.fromkeys(names, pem), "TEMPORAL_TLS_SERVER_NAME": "inside"})
    assert settings.tls is not None
    assert (
        settings.tls.server_root_ca_cert == settings.tls.client_cert == settings.tls.client_private_key == PEM.encode()
    )
    assert settings.tls.domain == "inside"


@pytest.mark.parametrize(
    ("value", "secured"), [("true", True), ("1", True), ("no", False), ("OFF", False), ("", False)]
)
def test_tls_can_be_switched(value: str, secured: bool) -> None:
    assert (EngineSettings.read({"TEMPORAL_TLS": value}).tls is not None) == secured


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"TEMPORAL_ADDRESS": "http://x:7233"}, "TEMPORAL_ADDRESS"),
        ({"TEMPORAL_ADDRESS": "x"}, "TEMPORAL_ADDRESS"),  # no port
        ({"TEMPORAL_ADDRESS": "x:70000"}, "TEMPORAL_ADDRESS"),
        ({"TEMPORAL_TLS": "maybe"}, "TEMPORAL_TLS is 'maybe'"),
        ({"TEMPORAL_TLS_CA": "/nowhere/ca.pem"}, "TEMPORAL_TLS_CA is /nowhere/ca.pem"),
        ({"TEMPORAL_TLS_CA": os.devnull}, "no PEM file"),
        ({"TEMPORAL_TLS_CERT": "PEM"}, "without TEMPORAL_TLS_KEY"),
        ({"TEMPORAL_TLS_KEY": "PEM"}, "without TEMPORAL_TLS_CERT"),
        ({"TEMPORAL_TLS": "false", "TEMPORAL_TLS_CA": "PEM"}, "TEMPORAL_TLS is off"),
        ({"TEMPORAL_TLS_SERVERNAME": "x"}, "did you mean TEMPORAL_TLS_SERVER_NAME"),  # nobody would read it
        ({"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "true"}, "accept any server"),
        ({"TEMPORAL_TLS_CA": "PEM", "TEMPORAL_TLS_SERVER_CA_CERT_DATA": PEM}, "both set"),
        ({"TEMPORAL_GRPC_META_AUTHORIZATION": "k", "TEMPORAL_ADDRESS": "far:7233"}, "clear text"),
        # the key would travel in clear text
        ({"TEMPORAL_TLS": "false", "TEMPORAL_API_KEY": "k", "TEMPORAL_ADDRESS": "far:7233"}, "clear text"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(environ: dict[str, str], says: str, pem: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        EngineSettings.read({name: pem if value == "PEM" else value for name, value in environ.items()})


PROFILES = """
[profile.default]
address = "first:7233"

[profile.cloud]
address = "x.api.temporal.io:7233"
namespace = "a.b"
api_key = "secret"

[profile.cloud.grpc_meta]
team = "finance"

[profile.inside]
address = "inside:7233"

[profile.inside.tls]
server_ca_cert_data = """ + json.dumps(PEM)


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    path = tmp_path / "temporal.toml"
    path.write_text(PROFILES)
    return str(path)


def test_the_names_that_the_sdk_has_for_certificates_are_read_too(pem: str) -> None:
    settings = EngineSettings.read(
        {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": pem, "TEMPORAL_TLS_CLIENT_CERT_DATA": PEM}
        | {"TEMPORAL_TLS_CLIENT_KEY_PATH": pem}
    )
    assert settings.tls is not None
    assert (settings.tls.server_root_ca_cert, settings.tls.client_cert) == (PEM.encode(), PEM.encode())


def test_an_engine_is_named_by_a_variable_or_a_profile_and_else_is_not(profiles: str) -> None:
    assert not EngineSettings.read({}).named
    assert not EngineSettings.read({"TEMPORAL_ADDRESS": ""}).named
    assert EngineSettings.read({"TEMPORAL_ADDRESS": "x:7233"}).named
    assert EngineSettings.read({"TEMPORAL_CONFIG_FILE": profiles}).named


def test_a_profile_says_where_the_engine_is_and_how_it_is_secured(profiles: str) -> None:
    settings = EngineSettings.read({"TEMPORAL_CONFIG_FILE": profiles, "TEMPORAL_PROFILE": "cloud"})
    assert (settings.address, settings.namespace, settings.api_key) == ("x.api.temporal.io:7233", "a.b", "secret")
    assert settings.tls is not None
    assert settings.metadata == {"team": "finance"}
    assert "secret" not in repr(settings)
    inside = EngineSettings.read({"TEMPORAL_CONFIG_FILE": profiles, "TEMPORAL_PROFILE": "inside"}).tls
    assert inside is not None
    assert inside.server_root_ca_cert == PEM.encode()


def test_a_variable_counts_for_more_than_the_profile(profiles: str) -> None:
    settings = EngineSettings.read({"TEMPORAL_CONFIG_FILE": profiles, "TEMPORAL_ADDRESS": "second:7233"})
    assert settings.address == "second:7233"


def test_a_profile_is_read_from_where_all_of_temporal_keeps_them_but_only_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(PROFILES)
    there = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert EngineSettings.read(there).address == "127.0.0.1:7233"
    assert EngineSettings.read({**there, "TEMPORAL_PROFILE": "default"}).address == "first:7233"


@pytest.mark.parametrize(
    ("toml", "environ", "says"),
    [
        ('[profile.default]\nadress = "x:1"', {}, "unknown field `adress`"),
        ("[profile", {}, "no TOML"),
        ("", {}, "no profile 'default'"),
        (PROFILES, {"TEMPORAL_PROFILE": "moon"}, "no profile 'moon'"),
        ('[profile.default]\naddress = "http://x:1"', {}, "address of the Temporal profile 'default' is 'http://x:1'"),
        ("[profile.default.tls]\ndisable_host_verification = true", {}, "accept any server"),
        ('[profile.default.codec]\nendpoint = "http://x"', {}, "remove codec"),
        ('[profile.default.tls]\nserver_ca_cert_path = "/nowhere"', {}, "tls.server_ca_cert of the Temporal profile"),
        ('[profile.default.tls]\nserver_ca_cert_data = "x"', {}, "no PEM file"),
        (PROFILES, {"TEMPORAL_PROFILE": "cloud", "TEMPORAL_TLS": "false"}, "clear text"),
        (
            '[profile.default]\naddress = "far:1"\n[profile.default.grpc_meta]\nauthorization = "Bearer x"',
            {},
            "authorization is set: the key would travel in clear text",
        ),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused(
    toml: str, environ: dict[str, str], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(toml)
    with pytest.raises(InputInvalid, match=re.escape(says)):
        EngineSettings.read({"TEMPORAL_CONFIG_FILE": str(file), **environ})


def test_a_file_of_profiles_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        InputInvalid, match=r"TEMPORAL_CONFIG_FILE asks for /nowhere/temporal\.toml, which cannot be read"
    ):
        EngineSettings.read({"TEMPORAL_CONFIG_FILE": "/nowhere/temporal.toml"})


async def test_an_engine_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 "):
        await connect(EngineSettings(address="127.0.0.1:1"))
