"""The settings of an installation: PLACET_… variables, and the secret under $PLACET_HOME."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from activities.secret_files import SECRET, LongSecret, Secret, SettingsOfFiles
from placet.errors import InputInvalid, Problem
from service.authzen.settings import AuthzenSettings
from service.drafting.settings import DraftingSettings
from service.identity.settings import IdentitySettings, OidcSettings
from service.pool.pool import Limits
from service.retention.periods import Periods
from service.transparency.settings import AttesterSettings, Authority, certificates_in, witnesses_of

SECRET_FILE = "secret.key"  # noqa: S105 - the name of a file

Rate = Annotated[str, Field(pattern=r"^[1-9]\d{0,6}/(second|minute|hour|day)$")]
"""So many in a window of time: `30/minute`."""


CLAMD = r"^(unix:/\S{1,100}|tcp://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):[1-9]\d{0,4})$"
"""How a malware scanner is named: `unix:/run/clamav/clamd.ctl` or `tcp://clamd:3310`."""


def default_home() -> Path:
    """Return the folder that holds all data where PLACET_HOME is not set."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "placet"


class Settings(SettingsOfFiles):
    """The settings of one installation; API and worker read the same ones."""

    model_config = SettingsConfigDict(env_prefix="PLACET_", frozen=True)

    home: Path = Field(default_factory=default_home)
    database_url: Secret = None  # with its password; default: SQLite under `home`
    secret_key: LongSecret = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    task_queue: str = "placet"
    # The version that the workers for approvals and actions register as; without, they are unversioned.
    deployment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")] | None = None
    build_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")] | None = None
    engine_database: Annotated[str, Field(repr=False), SECRET] = (
        "file"  # the data of an embedded engine: file, memory, postgresql://…
    )
    log_file: Path | None = None  # that `placet up`, `api` and `worker` log to; default: standard error
    log_file_days: Annotated[int, Field(ge=1, le=3650)] = 14  # for which a day's log is kept in a file
    metrics_token: LongSecret = None  # of scrapers
    # host:port of the SDK's metrics; default: 127.0.0.1 with port 9464, 9465 and 9466, or a free port
    worker_metrics: str | None = None
    notification_metrics: str | None = None
    api_metrics: str | None = None
    # How many processes `placet up` runs of each kind.
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1
    worker_processes: Annotated[int, Field(ge=1, le=64)] = 1
    notification_processes: Annotated[int, Field(ge=1, le=64)] = 1
    publish_needs_two: bool = False  # whether another person than the author has to publish a blueprint
    calls_at_once: Annotated[int, Field(ge=1, le=1000)] = 16  # starts and updates at the engine, of one API process
    cached_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 2000  # whose state a worker process keeps in memory
    answers_days: Annotated[int, Field(ge=1, le=3650)] = (
        7  # for which a repeated Idempotency-Key gets the stored answer
    )
    refusals_days: Annotated[int, Field(ge=1, le=3650)] = 90  # for which refused calls are kept
    marks_days: Annotated[int, Field(ge=1, le=3650)] = 180  # after somebody's last look, it is forgotten what they saw
    drafts_days: Annotated[int, Field(ge=1, le=3650)] = 365  # after its last change, an abandoned draft is deleted
    messages_days: Annotated[int, Field(ge=1, le=3650)] = 180  # for which messages are kept that were sent or given up
    simulations_days: Annotated[int, Field(ge=1, le=3650)] = 365  # for which simulations are kept
    event_logs_days: Annotated[int, Field(ge=1, le=3650)] = 730  # for which imported event logs are kept
    content_days: Annotated[int, Field(ge=1, le=36_500)] | None = (
        None  # after a request's end, its content is erased; None: never, where no rule of its process says otherwise
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_000_000
    attachments_url: str | None = None  # s3://…, gs://…, az://…; default: a folder under `home`
    attachment_bytes: Annotated[int, Field(ge=1)] = 25_000_000  # of one file
    clamd_url: Annotated[str, Field(pattern=CLAMD)] | None = None  # the malware scanner that sees files before all
    event_log_bytes: Annotated[int, Field(ge=1)] = 200_000_000  # of one event log as it is sent
    sla_again_hours: Annotated[float, Field(gt=0, le=8760)] = 24  # after which an unacknowledged breach is mailed again
    sla_executions_days: Annotated[int, Field(ge=1, le=3650)] = 90  # for which what SLAs have judged is kept
    log_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60  # between two checkpoints of the transparency log
    log_origin: Annotated[str, Field(max_length=200)] | None = None  # its name; default: placet/KEY_ID of the first key
    log_witnesses: Annotated[str, Field(max_length=10_000)] = ""  # URL KEY, URL KEY: who cosigns checkpoints
    log_timestamp_url: Annotated[str, Field(pattern=r"^https?://\S{1,500}$")] | None = None  # who dates checkpoints
    log_timestamp_certificates: Path | None = None  # PEM: what leads to that authority's certificate
    log_timestamp_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 3600  # between two dated checkpoints
    log_attest_seconds: Annotated[float, Field(gt=0, le=60)] = 10  # for one answer of a witness or of that authority
    evidence_days: Annotated[int, Field(ge=1, le=3650)] = 30  # for which the file of an evidence pack is kept
    unsent_files_days: Annotated[int, Field(ge=1, le=365)] = 7  # for which files of forms not sent in are kept
    session_idle_hours: Annotated[float, Field(gt=0, le=8760)] = 8  # without a call, a session ends
    session_hours: Annotated[float, Field(gt=0, le=8760)] = 24  # after which a session ends in any case
    login_rate: Rate = "30/minute"  # failed log-ins of one address
    login_rate_person: Rate = "60/minute"  # log-ins of one person
    decision_rate: Rate = "6000/minute"  # decisions of one person, for each API process
    sign_seconds: Annotated[int, Field(ge=30, le=3600)] = 300  # between proving who one is, and a signed decision
    passkey_origin: str | None = None  # https://… where browsers reach Placet; default: PLACET_PUBLIC_URL
    oidc_issuer: str | None = None  # the identity provider at which people log in
    oidc_client_id: str | None = None
    oidc_client_secret: Secret = None
    oidc_scopes: str = "openid profile email"
    oidc_person_claim: str = "sub"  # holds a person's id, or is `email`
    oidc_access_claim: str | None = None  # grants access; without it, the directory does
    oidc_access_prefix: str = ""  # of the values of that claim
    oidc_audience: str | None = None  # of bearer JWTs; without it, the API takes none
    oidc_scope_prefix: Annotated[str, Field(min_length=1, max_length=100)] = "placet:"  # of our scopes in JWTs
    oidc_scope_required: bool = False  # whether a JWT has to have one of them
    oidc_service_claim: str = "client_id"  # holds the id of a service, in tokens without the person claim
    drafting_model: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,50}:\S{1,200}$")] | None = (
        None  # provider:name of the language model that writes drafts; without, nothing is ever sent
    )
    drafting_url: Annotated[str, Field(pattern=r"^https?://\S{1,500}$")] | None = None  # default: the provider's own
    drafting_key: Secret = None
    drafting_seconds: Annotated[float, Field(gt=0, le=600)] = 120  # for one draft, with all repairs
    # The process that people are asked by, for RESOURCE_TYPE:ACTION of AuthZEN, either of which may be *; as JSON.
    authzen_templates: dict[str, str] = Field(default_factory=dict)
    authzen_denial_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600  # for which a denial may be requested
    authzen_approval_hours: Annotated[float, Field(gt=0, le=8760)] = 24  # for which an approval may be used
    pool_processes: Annotated[int, Field(ge=1, le=64)] = 2  # for proofs, simulations and imports
    pool_megabytes: Annotated[int, Field(ge=256)] = 512  # of each of them
    pool_seconds: Annotated[int, Field(ge=1)] = 60  # of processor time for one piece of work
    pool_waiting: Annotated[int, Field(ge=1)] = 32  # callers that wait; the next one gets 429

    @property
    def database(self) -> str:
        """The URL of Placet's own database."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'placet.db'}"

    @property
    def attachments(self) -> str:
        """The URL, or the folder, that holds the files of requests."""
        return self.attachments_url or str(self.home.absolute() / "attachments")

    @property
    def limits(self) -> Limits:
        """The limits of the pool of processes."""
        return Limits(
            processes=self.pool_processes,
            megabytes=self.pool_megabytes,
            seconds=self.pool_seconds,
            waiting=self.pool_waiting,
        )

    @property
    def periods(self) -> Periods:
        """For how many days what is kept."""
        return Periods(
            answers=self.answers_days,
            refusals=self.refusals_days,
            marks=self.marks_days,
            drafts=self.drafts_days,
            messages=self.messages_days,
            simulations=self.simulations_days,
            event_logs=self.event_logs_days,
            sla_executions=self.sla_executions_days,
            contents=self.content_days,
        )

    @property
    def identity(self) -> IdentitySettings:
        """How people log in."""
        return IdentitySettings(
            session_idle=timedelta(hours=self.session_idle_hours),
            session_longest=timedelta(hours=self.session_hours),
            login_rate=self.login_rate,
            login_rate_person=self.login_rate_person,
            decision_rate=self.decision_rate,
            oidc=self.oidc,
            sign_within=timedelta(seconds=self.sign_seconds),
            passkey_origin=self.passkey_origin,
        )

    @property
    def drafting(self) -> DraftingSettings | None:
        """The language model that writes drafts, or None where none is set."""
        if self.drafting_model is None:
            return None
        return DraftingSettings(
            model=self.drafting_model,
            url=self.drafting_url,
            key=self.drafting_key or None,
            seconds=self.drafting_seconds,
        )

    @property
    def attesters(self) -> AttesterSettings:
        """Who signs the checkpoints of the log besides; raises InputInvalid for what cannot be used."""
        return AttesterSettings(
            witnesses=witnesses_of(self.log_witnesses), authority=self._authority, seconds=self.log_attest_seconds
        )

    @property
    def _authority(self) -> Authority | None:
        if self.log_timestamp_url is None or self.log_timestamp_certificates is None:
            return None
        return Authority(
            url=self.log_timestamp_url,
            certificates=certificates_in(self.log_timestamp_certificates),
            every=timedelta(seconds=self.log_timestamp_seconds),
        )

    @property
    def authzen(self) -> AuthzenSettings:
        """Which denials people may be asked about, for programs that speak AuthZEN."""
        return AuthzenSettings(
            templates=self.authzen_templates,
            denial_lasts=timedelta(seconds=self.authzen_denial_seconds),
            approval_lasts=timedelta(hours=self.authzen_approval_hours),
        )

    @property
    def oidc(self) -> OidcSettings | None:
        """The identity provider, or None where none is set."""
        if self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return OidcSettings(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=self.oidc_client_secret,
            scopes=self.oidc_scopes,
            person_claim=self.oidc_person_claim,
            access_claim=self.oidc_access_claim,
            access_prefix=self.oidc_access_prefix,
            audience=self.oidc_audience,
            service_claim=self.oidc_service_claim,
            scope_prefix=self.oidc_scope_prefix,
            scope_required=self.oidc_scope_required,
        )

    @field_validator("authzen_templates")
    @classmethod
    def _closest_rules(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            resource_type, _, action = key.partition(":")
            if not resource_type or not action:
                raise ValueError(f"{key!r} is no RESOURCE_TYPE:ACTION; write document:can_read, or * for any")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if (self.oidc_issuer is None) is not (self.oidc_client_id is None):
            raise ValueError("PLACET_OIDC_ISSUER and PLACET_OIDC_CLIENT_ID belong together: set both or none")
        if (self.log_timestamp_url is None) is not (self.log_timestamp_certificates is None):
            raise ValueError(
                "PLACET_LOG_TIMESTAMP_URL and PLACET_LOG_TIMESTAMP_CERTIFICATES belong together: set both or none"
            )
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("PLACET_OIDC_SCOPES has to contain openid")
        return self

    def secret(self) -> str:
        """Return the signing secret: PLACET_SECRET_KEY, or one that is made once and stored under `home`."""
        if self.secret_key:
            return self.secret_key
        path = self.home / SECRET_FILE
        if not path.exists():
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Written to a temporary file and then linked, so that two processes that start together use one secret.
            fresh = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text().strip()


def read_settings() -> Settings:
    """Read the settings; raises InputInvalid that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = tuple(
            Problem(pointer=f"PLACET_{'_'.join(str(p) for p in e['loc']).upper()}", message=e["msg"])
            for e in error.errors(include_url=False, include_context=False)
        )
        raise InputInvalid("; ".join(f"{p.pointer}: {p.message}" for p in problems), problems=problems) from None
