"""How the engine is reached: the TEMPORAL_… variables."""

import os
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
        # the key would travel in clear text
        ({"TEMPORAL_TLS": "false", "TEMPORAL_API_KEY": "k", "TEMPORAL_ADDRESS": "far:7233"}, "clear text"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(environ: dict[str, str], says: str, pem: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        EngineSettings.read({name: pem if value == "PEM" else value for name, value in environ.items()})


async def test_an_engine_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 "):
        await connect(EngineSettings(address="127.0.0.1:1"))
