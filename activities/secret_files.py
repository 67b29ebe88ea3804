"""Secrets in files: what a variable may hold, the variable with `_FILE` behind it may name a file with.

So Docker and Kubernetes hand secrets over, and a secret is neither in the environment of a process nor in its
arguments. All settings that hold a secret are declared with `SECRET`, and read by `SecretFiles`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from placet.errors import InputInvalid, Problem

SECRET: Final = "secret"  # noqa: S105 - marks the field of a setting, in its metadata
_BEHIND = "_FILE"
_MOST_BYTES = 64_000  # of a file

Secret = Annotated[str | None, Field(repr=False), SECRET]
"""A setting that holds a secret."""
LongSecret = Annotated[Annotated[str, Field(min_length=16)] | None, Field(repr=False), SECRET]
"""A secret that nobody may guess, of at least 16 characters."""
HiddenSecret = Annotated[SecretStr | None, SECRET]
"""A secret that only `get_secret_value` shows."""
HiddenSecrets = Annotated[tuple[SecretStr, ...], NoDecode, SECRET]
"""Several secrets, with spaces between."""


def secret_of(environ: Mapping[str, str], variable: str) -> str | None:
    """Return the secret that a variable holds, or the file that VARIABLE_FILE names; None where neither is set.

    The file is UTF-8, of at most 64,000 bytes; white space around the secret does not count. Raises InputInvalid that
    names the variable, and never what the file holds.
    """
    held, file = environ.get(variable), environ.get(variable + _BEHIND)
    if not file:
        return held or None
    if held:
        raise _refused(f"set {variable} or {variable}_FILE, not both", variable)
    try:
        with Path(file).expanduser().open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _refused(f"{variable}_FILE names {file}, which cannot be read: {error.strerror}", variable) from None
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise _refused(f"{variable}_FILE names {file}, which is no UTF-8 text", variable) from None
    if not text or len(content) > _MOST_BYTES:
        what = "is longer than 64,000 bytes" if text else "is empty"
        raise _refused(f"{variable}_FILE names {file}, which {what}", variable)
    return text


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the settings with the mark `SECRET` from the files that variables name."""

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._environ = environ

    def __call__(self) -> dict[str, Any]:
        """Return what is in files, by the name of its field; raises InputInvalid as `secret_of` does."""
        return {
            name: secret_of(self._environ, variable)
            for name, variable in _variables(self.settings_cls).items()
            if self._environ.get(variable + _BEHIND)
        }

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - its interface
        """Return nothing: the source is read as a whole."""
        return None, field_name, False


class SettingsOfFiles(BaseSettings):
    """Settings from variables, and their secrets from files that variables name; no message shows what was given."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its interface; no such file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the caller gives, then files, then variables."""
        return init_settings, SecretFiles(settings_cls, os.environ), env_settings


def secrets_among(settings: type[BaseSettings]) -> list[str]:
    """Return the names of the settings that hold a secret."""
    return [name for name, field in settings.model_fields.items() if SECRET in field.metadata]


def variables_of_files(settings: type[BaseSettings]) -> list[str]:
    """Return the variables that may name the files of these settings' secrets."""
    return [variable + _BEHIND for variable in _variables(settings).values()]


def _variables(settings: type[BaseSettings]) -> dict[str, str]:
    prefix = settings.model_config.get("env_prefix") or ""
    return {name: f"{prefix}{name}".upper() for name in secrets_among(settings)}


def _refused(message: str, variable: str) -> InputInvalid:
    problems = (Problem(pointer=f"/{variable}{_BEHIND}", message=message),)
    return InputInvalid(f"{message}.", problems=problems)
