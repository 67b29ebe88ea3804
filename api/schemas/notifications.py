"""The models of notifications: templates, messages and preferences."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from activities.notifications.preferences import Preferences
from activities.notifications.templates.template_set import TemplateSource
from api.schemas.common import Body, Shown, View, shown, with_examples
from languages.catalogues import Language
from storage.tables.notifications import NotificationMessage, NotificationTemplate

_LONGEST = 32_000  # characters of one part of a template, as activities.notifications.templates.sandbox has it
_SHIPPED: dict[str, Any] = {"name": "task_opened", "version": 1}
_WORDS: dict[str, Any] = {
    "subject": "Please decide: {{ request.title }}",
    "text": "{{ person.name }}, {{ request.requester }} waits for you: {{ request.url }}",
    "html": '<p>{{ person.name }}, <a href="{{ request.url }}">{{ request.requester }} waits for you</a>.</p>',
}
_EDIT = _WORDS | {"note": "Shorter"}
_PREFERENCES: dict[str, Any] = {
    "channels": ["mail", "chat"],
    "addresses": {"chat": "@mia"},
    "timezone": "Europe/Berlin",
    "quiet_hours": {"from": "20:00:00", "until": "07:30:00", "days": ["sat", "sun"]},
    "digest": {"at": ["09:00:00"]},
    "urgent": ["sla_breached", "escalated_to"],
    "muted": ["commented"],
}

Part = Annotated[str, Field(max_length=_LONGEST)]


class TemplateEdit(Body):
    """A new text of a template (subject, text and html together), or an earlier version to restore."""

    model_config = with_examples(_EDIT, {"restore": 0})

    subject: Annotated[str, Field(max_length=2000)] | None = None
    text: Part | None = None
    html: Part | None = None
    note: Annotated[str, Field(max_length=500)] | None = None
    restore: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    """The version to restore; 0 is the built-in default."""

    @model_validator(mode="after")
    def _one_of_both(self) -> TemplateEdit:
        parts = (self.subject, self.text, self.html)
        if self.restore is not None:
            if any(part is not None for part in (*parts, self.note)):
                raise ValueError("send either restore, or subject, text and html")
        elif any(part is None for part in parts):
            raise ValueError("send subject, text and html together, or restore with a version number")
        return self

    def source(self, name: str, language: Language) -> TemplateSource:
        """Return the new text as a template of this name and language."""
        return TemplateSource(
            name=name,
            version=0,
            subject=self.subject or "",
            text=self.text or "",
            html=self.html or "",
            language=language,
        )


class Preview(Body):
    """A text to preview in place of the current one, with the newest one of a request or a sample."""

    model_config = with_examples(_WORDS | {"request_id": None}, {})

    subject: Annotated[str, Field(max_length=2000)] | None = None
    text: Part | None = None
    html: Part | None = None
    request_id: Annotated[str, Field(max_length=200)] | None = None

    def source(self, there: TemplateSource) -> TemplateSource:
        """Return the template to render: the fields sent, and the active template's for the rest."""
        return TemplateSource(
            name=there.name,
            version=there.version,
            subject=there.subject if self.subject is None else self.subject,
            text=there.text if self.text is None else self.text,
            html=there.html if self.html is None else self.html,
            language=there.language,
        )


class NoticeTemplateView(View):
    """The current text of a notification; version 0 is the built-in default."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_SHIPPED | _WORDS]})

    name: str
    version: int
    subject: str
    text: str
    html: str


class VersionView(View):
    """One edited version of a template."""

    version: int
    status: str  # active, retired
    subject: str
    text: str
    html: str
    note: str | None
    created_by: str | None
    created_at: Shown

    @classmethod
    def of(cls, row: NotificationTemplate) -> VersionView:
        """Show a stored version."""
        return cls.model_construct(
            version=row.version,
            status=row.status,
            subject=row.subject,
            text=row.text,
            html=row.html,
            note=row.note,
            created_by=shown(row.created_by),
            created_at=row.created_at,
        )


class NoticeTemplateWhole(NoticeTemplateView):
    """The current text of a notification, and all edited versions, newest first."""

    versions: list[VersionView]


class Rendered(View):
    """A notification as it would be sent."""

    subject: str
    text: str
    html: str


class MessageView(View):
    """A notification on one channel. `error` says why it failed (process owner, auditors and admins see it)."""

    key: str
    channel: str
    seq: int
    event: str
    person: str | None
    status: str  # pending, sent, failed, dropped
    attempts: int
    digest: bool
    next_attempt_at: Shown | None
    finished_at: Shown | None
    error: str | None

    @classmethod
    def of(cls, row: NotificationMessage, *, with_error: bool) -> MessageView:
        """Show a stored message."""
        return cls.model_construct(**of_message(row, with_error=with_error))


def of_message(row: NotificationMessage, *, with_error: bool) -> dict[str, Any]:
    """Return the fields of a message as answers show them."""
    return {
        "key": row.key,
        "channel": row.channel,
        "seq": row.seq,
        "event": row.event,
        "person": shown(row.person),
        "status": row.status,
        "attempts": row.attempts,
        "digest": row.digest,
        "next_attempt_at": row.next_attempt_at if row.status == "pending" else None,
        "finished_at": row.finished_at,
        "error": row.last_error if with_error else None,
    }


class Resend(Body):
    """The channel to send a notification again on; without it, all channels that failed."""

    model_config = with_examples({"channel": "mail"}, {})

    channel: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class Resent(View):
    """The number of messages that were queued again, and all messages of the notification."""

    queued: int
    messages: list[MessageView]


class PreferencesView(View):
    """The caller's notification preferences."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra={"examples": [_PREFERENCES]})

    channels: list[str]
    addresses: dict[str, str]
    timezone: str
    language: str | None
    quiet_hours: dict[str, Any] | None
    digest: dict[str, Any] | None
    urgent: list[str]
    muted: list[str]

    @classmethod
    def of(cls, given: Preferences) -> PreferencesView:
        """Show preferences; fields that were left out have their defaults."""
        return cls.model_validate(given.model_dump(mode="json", by_alias=True))


PREFERENCES = _PREFERENCES
"""An example of preferences, for the documentation."""
