"""The tables of identity: browser sessions, one-time codes, counters of rate limits, and groups that SCIM names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column


class BrowserSession(SQLModel, table=True):
    """A person who is logged in with a browser, by the SHA-256 of the cookie's value."""

    __tablename__ = "session"

    digest: str = Field(primary_key=True)
    person: str = Field(index=True)
    csrf_token: str
    method: str  # how they logged in: link, token, oidc
    access: list[str] | None = json_column(nullable=True)  # what an OIDC claim grants; None: what the directory says
    scopes: list[str] | None = json_column(nullable=True)  # of the token that they logged in with
    token_digest: str | None = Field(default=None, index=True)  # that token; revoking it ends the session
    id_token: str | None = None  # of the identity provider, which is told by it whose log-in there to end
    provider_subject: str | None = Field(default=None, index=True)  # as the provider calls the person
    provider_session: str | None = None  # as the provider calls their log-in there
    user_agent: str = ""
    created_at: datetime = moment_column()
    seen_at: datetime = moment_column()  # to the minute
    expires_at: datetime = moment_column()
    # When its person last proved who they are; None where that says too little, as of a token beside a provider.
    authenticated_at: datetime | None = moment_column(nullable=True)


class LoginCode(SQLModel, table=True):
    """A one-time address to log in, by the SHA-256 of its code."""

    __tablename__ = "login_code"

    digest: str = Field(primary_key=True)
    person: str
    created_at: datetime = moment_column()
    expires_at: datetime = moment_column()
    used_at: datetime | None = moment_column(nullable=True)


class RateCount(SQLModel, table=True):
    """How often something happened in a window of time that ends at `expires_at`."""

    __tablename__ = "rate_count"

    key: str = Field(primary_key=True)
    count: int
    expires_at: datetime = moment_column()


class DirectoryGroup(SQLModel, table=True):
    """A group that SCIM provisions; people hold its name in `groups`."""

    __tablename__ = "directory_group"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    external_id: str | None = None
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()


class Passkey(SQLModel, table=True):
    """A passkey of a person: the public key of a credential, by the credential's id (base64url)."""

    __tablename__ = "passkey"

    id: str = Field(primary_key=True)
    person: str = Field(index=True)
    name: str  # what its person calls it
    public_key: str  # COSE, base64url
    sign_count: int
    created_at: datetime = moment_column()
    last_used_at: datetime | None = moment_column(nullable=True)


class PasskeyChallenge(SQLModel, table=True):
    """A challenge (base64url) that a passkey has to answer once, for one purpose of one person."""

    __tablename__ = "passkey_challenge"

    challenge: str = Field(primary_key=True)
    person: str
    purpose: str  # register, or sign: and the id of a step-up
    expires_at: datetime = moment_column()


class StepUp(SQLModel, table=True):
    """A decision that waits for a fresh proof of who takes it; what it says is forgotten once it is taken."""

    __tablename__ = "step_up"

    id: str = Field(primary_key=True)
    person: str
    request_id: str = Field(index=True)
    task_id: str
    round: int
    revision: int
    hand_overs: int
    decision: str
    reason: str
    comment: str | None = None
    form: dict[str, Any] | None = json_column(nullable=True)
    method: str | None = None  # how the person has proven who they are
    authenticated_at: datetime | None = moment_column(nullable=True)  # and when
    begun_at: datetime = moment_column()
    expires_at: datetime = moment_column()
    done_at: datetime | None = moment_column(nullable=True)
