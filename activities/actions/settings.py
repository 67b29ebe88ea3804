"""Settings of actions, from the environment: `PLACET_` and the field's name in capitals."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from activities.http_client.client import CallPolicy
from placet.errors import InputInvalid, Problem

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?(?::\d{1,5})?|\[[0-9a-f:.]+\](?::\d{1,5})?")


class ActionSettings(BaseSettings):
    """Which hosts actions may call, and how long an answer may be."""

    model_config = SettingsConfigDict(env_prefix="PLACET_", frozen=True, extra="ignore")

    action_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that actions may call, with spaces or commas between:

    `erp.example.com`, `*.example.com`, `localhost:8080`.
    """
    action_private: bool = False
    """Whether those hosts may have private or loopback addresses."""
    action_max_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 262_144
    """The longest accepted answer, in bytes. It becomes part of the request's history."""

    @property
    def policy(self) -> CallPolicy:
        """Actions may call the listed hosts, at private addresses only with `action_private`."""
        return CallPolicy(
            sender="Actions",
            hosts=self.action_hosts,
            hosts_setting="PLACET_ACTION_HOSTS",
            private=self.action_private,
            private_setting="PLACET_ACTION_PRIVATE=1",
            loopback=self.action_private,
            loopback_setting="PLACET_ACTION_PRIVATE=1",
            longest=self.action_max_bytes,
        )

    @field_validator("action_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        hosts = tuple(part.lower() for part in re.split(r"[\s,]+", value) if part)
        wrong = next((host for host in hosts if not _HOST.fullmatch(host)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a host; write erp.example.com, *.example.com or localhost:8080")
        return hosts


def load() -> ActionSettings:
    """Read the settings from the environment; raises InputInvalid that names each variable that is wrong."""
    try:
        return ActionSettings()
    except ValidationError as error:
        problems = tuple(
            Problem(pointer="/" + "/".join(f"PLACET_{str(p).upper()}" for p in e["loc"][:1]), message=e["msg"])
            for e in error.errors(include_url=False, include_context=False)
        )
        raise InputInvalid("Some settings of actions are invalid; see `problems`.", problems=problems) from error
