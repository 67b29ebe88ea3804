"""Every secret of the settings can be in a file, and no text shows it."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from activities.actions.executor import ActionFailed
from activities.actions.secrets import SecretResolver
from activities.actions.settings import ActionSettings
from activities.notifications import settings as notifications
from activities.notifications.settings import NotifySettings
from activities.secret_files import secret_of, secrets_among
from engine_host.config import Postgres
from placet.errors import InputInvalid
from service.attachments.store import FileStore
from worker.connect import EngineSettings
from worker.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
VALUE = b64encode(b"what nobody should ever read").decode()
ALL: list[tuple[type[BaseSettings], str]] = [
    (of, name) for of in (Settings, NotifySettings) for name in secrets_among(of)
]
# Names that sound like a secret, and hold none: addresses without credentials, a folder, what opens at a log-in.
HARMLESS = {
    "attachments_url",
    "clamd_url",
    "drafting_url",
    "log_timestamp_url",
    "public_url",
    "slack_url",
    "webhook_secrets_dir",
}
# What a setting needs beside it, so that it is taken.
BESIDE: dict[str, dict[str, str]] = {"smtp_password": {"PLACET_SMTP_USERNAME": "u", "PLACET_SMTP_TLS": "tls"}}
everyone = pytest.mark.parametrize(("of", "name"), ALL, ids=[name for _, name in ALL])


def value_of(name: str) -> str:
    """Return a value that the setting takes."""
    return f"postgresql://placet:{VALUE}@db/placet" if "database" in name else VALUE


def shown(value: Any) -> Any:
    """Return what is behind a hidden value."""
    if isinstance(value, tuple):
        return " ".join(shown(one) for one in value)
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


@pytest.mark.parametrize("of", [Settings, NotifySettings, ActionSettings])
def test_a_setting_that_sounds_like_a_secret_is_declared_as_one(of: type[BaseSettings]) -> None:
    sounds = {
        name for name in of.model_fields if re.search(r"secret|(?<!pass)key|token|password|_urls?$|database", name)
    }
    assert sounds - HARMLESS == set(secrets_among(of))


@everyone
def test_a_secret_is_read_from_the_file_that_a_variable_names(
    of: type[BaseSettings], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in BESIDE.get(name, {}).items():
        monkeypatch.setenv(variable, value)
    file = tmp_path / "secret"
    file.write_text(f"{value_of(name)}\n")
    monkeypatch.setenv(f"PLACET_{name.upper()}_FILE", str(file))
    assert shown(getattr(of(), name)) == value_of(name)
    monkeypatch.setenv(f"PLACET_{name.upper()}", value_of(name))
    with pytest.raises(InputInvalid, match=f"set PLACET_{name.upper()} or PLACET_{name.upper()}_FILE, not both"):
        of()


@everyone
def test_no_text_shows_a_secret(of: type[BaseSettings], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in BESIDE.get(name, {}).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv(f"PLACET_{name.upper()}", value_of(name))
    settings = of()
    assert VALUE not in f"{settings!r} {settings!s}"


@everyone
def test_no_refusal_shows_a_secret(of: type[BaseSettings], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused once by itself where it has a shape, and once because another setting is wrong."""
    read = read_settings if of is Settings else notifications.load
    other = "PORT" if of is Settings else "SMTP_PORT"
    monkeypatch.setenv(f"PLACET_{name.upper()}", VALUE)
    monkeypatch.setenv(f"PLACET_{other}", "none")
    with pytest.raises(InputInvalid) as refused:
        read()
    seen: BaseException | None = refused.value
    while seen is not None:
        assert VALUE not in f"{seen!r} {seen}"
        seen = seen.__cause__
    for short in ("x", "["):  # too short, no key, no list
        monkeypatch.setenv(f"PLACET_{name.upper()}", f"{short}%%%secret")
        with pytest.raises(InputInvalid) as refused:
            read()
        assert "%%%secret" not in f"{refused.value} {refused.value.__cause__}"


@everyone
def test_the_file_of_every_secret_is_documented(of: type[BaseSettings], name: str) -> None:
    assert f"`PLACET_{name.upper()}_FILE`" in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),  # there is none
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "no UTF-8"),
        (b"x" * 64_001, "longer than 64,000 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_by_the_variable(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputInvalid, match=said) as refused:
        secret_of({"PLACET_X_FILE": str(file)}, "PLACET_X")
    assert [problem.pointer for problem in refused.value.problems] == ["/PLACET_X_FILE"]


def test_a_variable_that_is_set_to_nothing_is_not_set() -> None:
    assert secret_of({"PLACET_X": "", "PLACET_X_FILE": ""}, "PLACET_X") is None


def test_the_key_of_the_engine_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(VALUE)
    settings = EngineSettings.read(
        {"TEMPORAL_API_KEY_FILE": str(file), "TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_TLS": "true"}
    )
    assert settings.api_key == VALUE
    assert VALUE not in repr(settings)


def test_the_password_of_the_engines_database_is_never_shown() -> None:
    database = Postgres.parse(f"postgresql://placet:{VALUE}@db/engine")
    assert database.password == VALUE
    assert VALUE not in repr(database)


def test_a_secret_of_an_action_is_read_from_a_file_at_each_attempt(tmp_path: Path) -> None:
    file = tmp_path / "erp"
    file.write_text(f"{VALUE}\n")
    environ = {"PLACET_SECRET_ERP_FILE": str(file)}
    resolver = SecretResolver(environ)
    assert resolver.resolve({"header": {"secret": "ERP"}}) == {"header": VALUE}
    assert resolver.hide({"echo": f"you sent {VALUE}"}) == {"echo": "you sent (secret)"}
    file.write_text("rotated")
    assert SecretResolver(environ).resolve({"secret": "ERP"}) == "rotated"
    file.unlink()
    with pytest.raises(ActionFailed, match="PLACET_SECRET_ERP_FILE names"):
        SecretResolver(environ).resolve({"secret": "ERP"})


@pytest.mark.parametrize("name", ["KEY", "KEY_FILE"])
def test_no_action_gets_the_secret_of_the_installation(name: str) -> None:
    with pytest.raises(ActionFailed, match="the installation's own secret"):
        SecretResolver({f"PLACET_SECRET_{name}": VALUE}).resolve({"secret": name})


def test_the_keys_of_an_object_store_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(VALUE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "placet")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(file))
    store = FileStore("s3://bucket/prefix")
    assert store._store.config["secret_access_key"] == VALUE
