"""Settings of the notifications, from the environment: `PLACET_` and the field's name in capitals."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import timedelta
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from activities.http_client.client import CallPolicy
from activities.secret_files import HiddenSecret, HiddenSecrets, SettingsOfFiles
from languages.catalogues import SOURCE, Language
from placet.definition.steps import DecisionLinks
from placet.errors import InputInvalid, Problem

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_KEY = 16  # bytes
_LONGEST_ANSWER = 1_000_000  # bytes of an answer of Slack


class NotifySettings(SettingsOfFiles):
    """How notifications are sent. Durations are in seconds. URLs of services hold credentials and are never shown."""

    model_config = SettingsConfigDict(env_prefix="PLACET_", frozen=True, extra="ignore")

    public_url: str | None = None
    """Where people open requests in a browser; notifications link to `/requests/ID` and `/preferences` below it.
    None: there is no such place, and notifications have no links to requests."""
    decision_links: DecisionLinks = "session"
    """What a link in a mail or a chat needs to decide: a session of its person, or nothing but itself (`bearer`); with
    `off` there are no such links. A stage may be stricter."""
    decision_link_days: float = Field(default=7, gt=0, le=90)
    """How long a link can decide."""
    mail_from: str = "Placet <placet@localhost>"
    smtp_host: str | None = None
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: HiddenSecret = None
    smtp_tls: Literal["none", "starttls", "tls", "auto"] = "auto"
    """`tls` from the first byte (port 465), `starttls` required, `auto` where the server offers it."""
    smtp_connections: int = Field(default=4, ge=1, le=64)
    smtp_timeout: float = Field(default=30, gt=0)

    chat_urls: HiddenSecrets = ()
    """Apprise URLs of the organisation's chat, separated by spaces; `{address}` is replaced by the person's address."""
    sms_urls: HiddenSecrets = ()
    """Apprise URLs of the SMS service; `{address}` is replaced by the person's number."""
    chat_timeout: float = Field(default=30, gt=0)

    slack_bot_token: HiddenSecret = None
    """The token of the organisation's Slack app, with which messages are sent (`xoxb-…`)."""
    slack_signing_secret: HiddenSecret = None
    """The secret that Slack signs its calls with. Without it, messages have no buttons that decide."""
    slack_url: str = "https://slack.com/api"
    """Where Slack's API is."""
    slack_match_mail: bool = True
    """Whether a member of the workspace is known by the mail address that Slack has verified, without a link."""
    teams_url: HiddenSecret = None
    """The address of a Teams workflow that posts cards into a channel."""
    teams_secrets: HiddenSecrets = ()
    """The security tokens of outgoing webhooks of Teams, separated by spaces: one for each team."""

    webhook_timeout: float = Field(default=15, gt=0)
    webhook_allow_private: bool = False
    """Whether webhooks may go to private addresses (10/8, 192.168/16, …)."""
    webhook_allow_loopback: bool = False
    """Whether webhooks may go to this machine itself; for tests and the demo."""
    webhook_secrets_dir: str | None = None
    """The folder that `file:NAME` secret references are read from."""

    notify_language: Language = SOURCE
    """The language of messages to people who have chosen none."""
    notify_retry_first: float = Field(default=5, gt=0)
    notify_retry_most: float = Field(default=3600, gt=0)
    notify_give_up_after: float = Field(default=3 * 24 * 3600, gt=0)
    """How long a notification is tried over a channel that does not take it before it counts as failed."""
    notify_confirm_after: float = Field(default=1, ge=0)
    """How long a notification waits for the API's confirmation before the engine is asked."""
    notify_poll: float = Field(default=1, gt=0)
    """The longest pause before the outbox is read again, where announcements do not arrive."""
    notify_lease: float = Field(default=120, gt=0)
    """How long a worker may keep a notification that it took; longer than the timeout of every channel in use."""
    notify_warn_after: float = Field(default=900, gt=0)
    """How long a notification that could leave waits before the log warns of it; the alert rule has its own number."""

    @field_validator("chat_urls", "sms_urls", "teams_secrets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        return json.loads(text) if text.startswith("[") else text.split()

    @field_validator("slack_url")
    @classmethod
    def _safe_slack(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("the bot token would be sent in clear text: write an address with https://")
        return value.rstrip("/")

    @field_validator("teams_secrets")
    @classmethod
    def _keys_of_teams(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in value:
            try:
                key = b64decode(secret.get_secret_value(), validate=True)
            except ValueError:
                key = b""
            if len(key) < _SHORTEST_KEY:
                raise ValueError("write each security token as Teams has shown it: base64 of at least 16 bytes")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.notify_retry_first > self.notify_retry_most:
            raise ValueError(
                f"PLACET_NOTIFY_RETRY_FIRST ({self.notify_retry_first:g} s) is longer than PLACET_NOTIFY_RETRY_MOST "
                f"({self.notify_retry_most:g} s): reduce the first or raise the second"
            )
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("PLACET_SMTP_USERNAME and PLACET_SMTP_PASSWORD belong together: set both or none")
        if self.smtp_password is not None and self.smtp_tls == "none":
            raise ValueError("PLACET_SMTP_PASSWORD would be sent in clear text: set PLACET_SMTP_TLS to starttls or tls")
        return self

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.match(r"https?://", value):
            raise ValueError("write the whole address, with http:// or https://")
        return value.rstrip("/")

    def leased_longer_than(self, timeout: float, variable: str) -> None:
        """Raise InputInvalid unless the lease is longer than a channel's timeout, which `variable` sets.

        A message is sent only while its lease is longer than the timeout, so otherwise none would ever be sent.
        """
        if self.notify_lease > timeout:
            return
        message = (
            f"is {self.notify_lease:g} s, and {variable} is {timeout:g} s: nothing would ever be sent. Make the lease "
            "longer than that, at best several times as long."
        )
        raise InputInvalid(
            f"PLACET_NOTIFY_LEASE {message}", problems=(Problem(pointer="/PLACET_NOTIFY_LEASE", message=message),)
        )

    @property
    def webhook_policy(self) -> CallPolicy:
        """Webhooks may go to public addresses, and to others by setting. The answers of endpoints are not read."""
        return CallPolicy(
            sender="Webhooks",
            private=self.webhook_allow_private,
            private_setting="PLACET_WEBHOOK_ALLOW_PRIVATE",
            loopback=self.webhook_allow_loopback,
            loopback_setting="PLACET_WEBHOOK_ALLOW_LOOPBACK",
        )

    @property
    def slack_policy(self) -> CallPolicy:
        """Slack is called at the host of `slack_url` alone; its short answers are read."""
        parts = urlsplit(self.slack_url)
        host = (parts.hostname or "").lower()
        here = host in _LOOPBACK
        return CallPolicy(
            sender="Slack",
            private=self.webhook_allow_private,
            private_setting="PLACET_WEBHOOK_ALLOW_PRIVATE",
            loopback=here,
            loopback_setting="PLACET_SLACK_URL",
            hosts=(host if parts.port is None else f"{host}:{parts.port}",),
            hosts_setting="PLACET_SLACK_URL",
            longest=_LONGEST_ANSWER,
        )

    @property
    def decision_links_last(self) -> timedelta:
        """How long a link can decide after it was sent."""
        return timedelta(days=self.decision_link_days)

    @property
    def give_up_after(self) -> timedelta:
        """How long a message is retried before it counts as failed."""
        return timedelta(seconds=self.notify_give_up_after)

    @property
    def lease(self) -> timedelta:
        """How long a notification that was taken is left to whoever took it."""
        return timedelta(seconds=self.notify_lease)


def below(url: str | None, path: str) -> str | None:
    """Return the URL of a page below another URL, or None without one."""
    return None if url is None else f"{url}/{path}"


def page_of(url: str | None, request_id: str) -> str | None:
    """Return the URL at which people see a request, or None without a public URL."""
    return below(url, f"requests/{request_id}")


def load() -> NotifySettings:
    """Read the settings from the environment; raises InputInvalid that names each variable that is wrong."""
    from pydantic import ValidationError

    try:
        return NotifySettings()
    except ValidationError as error:
        problems = tuple(
            Problem(
                pointer="/" + "/".join(f"PLACET_{str(p).upper()}" for p in e["loc"][:1]),
                message=e["msg"].removeprefix("Value error, "),
            )
            for e in error.errors()
        )
        raise InputInvalid("Some notification settings are invalid; see `problems`.", problems=problems) from error
