"""Which stored tables tell of a person, and what of each: for an archive of everything about one person.

Every table has a line here, or a reason in NOT_PERSONAL. `hidden` columns are not read: they are secrets, or what a
secret could be guessed by. `without` are the product's own documents, which say nothing of the person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, Table, cast, exists, or_, select
from sqlmodel import SQLModel, col

from storage.queries.people.departures import Departure
from storage.tables.actions import ActionCatalog
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import (
    ApiToken,
    ApprovalRequest,
    ApprovalTask,
    AuditEntry,
    AuditSuperseded,
    DefinitionVersion,
    Delivery,
    IdempotentCall,
    Outbox,
    Participant,
    Refusal,
    StoredPerson,
    TaskCandidate,
)
from storage.tables.canaries import WorkflowCanary
from storage.tables.chat import ChatLink
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.erasures import PersonErasure, PersonErasureItem
from storage.tables.event_logs import EventLog
from storage.tables.evidence import EvidencePack
from storage.tables.identity import BrowserSession, LoginCode, Passkey, PasskeyChallenge, StepUp
from storage.tables.notifications import NotificationMessage, NotificationTemplate, WebhookEndpoint
from storage.tables.reading import ReadingMark, SavedView, Watch
from storage.tables.request_drafts import DraftFile
from storage.tables.retention import RetentionRule
from storage.tables.simulations import WorkflowSimulation
from storage.tables.slas import SlaBreach, WorkflowSla
from storage.tables.suggestions import WorkflowSuggestion

AT_ONCE: Final = 500  # rows in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """One part of an archive: rows of a table in which one of the columns names the person.

    A column holds an id, alone or as `user:ID`; in those that are `mentioned` the id stands anywhere in JSON.
    `told` are the only columns that are read, where others are of somebody else.
    """

    name: str
    model: type[SQLModel]
    named: tuple[str, ...]
    mentioned: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    told: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The table itself."""
        table: Table = self.model.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True
        return table

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        left_out = self.hidden | self.without
        return self.told or tuple(column.name for column in self.table.columns if column.name not in left_out)


def _part(
    model: type[SQLModel],
    named: str,
    *,
    name: str | None = None,
    mentioned: str = "",
    hidden: str = "",
    without: str = "",
    told: str = "",
) -> Personal:
    return Personal(
        name=name or str(model.__tablename__),
        model=model,
        named=tuple(named.split()),
        mentioned=tuple(mentioned.split()),
        hidden=frozenset(hidden.split()),
        without=frozenset(without.split()),
        told=tuple(told.split()),
    )


PARTS: Final = (
    _part(StoredPerson, "id"),
    _part(StoredPerson, "manager principal", name="person_of_others", mentioned="away", told="id manager principal"),
    _part(Departure, "person"),
    _part(
        BrowserSession,
        "person",
        hidden="digest csrf_token token_digest id_token provider_subject provider_session",
    ),
    _part(ApiToken, "person", hidden="digest"),
    _part(LoginCode, "person", hidden="digest"),
    _part(Passkey, "person", hidden="id public_key"),
    _part(PasskeyChallenge, "person", hidden="challenge"),
    _part(StepUp, "person", hidden="id"),
    _part(ChatLink, "person linked_by"),
    _part(SavedView, "person"),
    _part(ReadingMark, "person"),
    _part(Watch, "person"),
    _part(DraftFile, "person", hidden="form_key"),
    _part(ApprovalRequest, "requester owner started_by claimed_by"),
    _part(ApprovalTask, "assignee decided_by on_behalf_of"),
    _part(TaskCandidate, "person"),
    _part(Participant, "person"),
    _part(AuditEntry, "actor", mentioned="detail", hidden="salts"),
    _part(AuditSuperseded, "actor", mentioned="detail", hidden="salts"),
    _part(Outbox, "person"),
    _part(NotificationMessage, "person", hidden="lease"),
    _part(Refusal, "principal"),
    _part(IdempotentCall, "principal", hidden="key fingerprint"),
    _part(AdminAct, "actor target", mentioned="detail", hidden="salts"),
    _part(EvidencePack, "ordered_by"),
    _part(DefinitionVersion, "owner created_by published_by", without="blueprint graph_spec certificate"),
    _part(BlueprintDraft, "created_by updated_by submitted_by", mentioned="authors", without="content"),
    _part(BlueprintDraftRevision, "by", without="content"),
    _part(WorkflowSimulation, "created_by", mentioned="question"),
    _part(WorkflowSuggestion, "created_by reviewed_by", without="blueprint backtest findings supporting_data score"),
    _part(NotificationTemplate, "created_by", without="html"),
    _part(WebhookEndpoint, "created_by", hidden="secret_ref"),
    _part(WorkflowSla, "created_by updated_by"),
    _part(SlaBreach, "owner acknowledged_by"),
    _part(WorkflowCanary, "owner began_by ended_by", without="figures"),
    _part(EventLog, "created_by", without="seen words"),
    _part(ActionCatalog, "created_by updated_by", without="config input_schema output_schema"),
    _part(RetentionRule, "set_by"),
    _part(PersonErasure, "person erased_by", hidden="mail_digest"),
    _part(PersonErasureItem, "person"),
    _part(Delivery, "", mentioned="detail", hidden="salts"),
)
"""What an archive has, in its order. Deliveries are those of the person's notifications as well."""

NOT_PERSONAL: Final[Mapping[str, str]] = {
    "request_title": "the titles of requests again, as they are searched",
    "action_execution": "which action ran for which request, without input and person",
    "canary_request": "figures of requests",
    "directory_group": "names of groups; who is in them is with the people",
    "erased_file": "files that are about to be deleted",
    "event_log_part": "people as another system wrote them, whom nobody here can tell apart",
    "kept_content": "which request's content could not be erased, and why",
    "log_checkpoint": "hashes",
    "log_entry": "hashes",
    "log_attestation": "signatures of hashes by witnesses and authorities of the settings",
    "log_attester": "how the witnesses and authorities of the settings were last asked",
    "log_node": "hashes",
    "log_progress": "how far the log has come",
    "metric_total": "counts",
    "nightly_run": "what ran on which day",
    "rate_count": "counters that end within a day, by digests",
    "receipt_key": "public keys of the installation",
    "retention_run": "counts",
    "sla_execution": "how long something took",
    "worker_presence": "processes",
    "workflow_simulation_row": "which of a simulation's requests would have changed; the requests are there themselves",
}
"""The tables that no archive has, and why."""


def rows_about(connection: Connection, part: Personal, person: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a part in the order of their keys, AT_ONCE of them in memory."""
    columns = part.table.c
    wanted = [columns[name] for name in part.columns]
    query = select(*wanted).where(or_(*_about(part, person))).order_by(*part.table.primary_key.columns)
    found = connection.execute(query, execution_options={"yield_per": AT_ONCE})
    for row in found.mappings():
        yield dict(row)


def _about(part: Personal, person: str) -> Iterator[ColumnElement[bool]]:
    columns = part.table.c
    ids = (person, f"user:{person}", f"person:{person}")
    for name in part.named:
        yield columns[name].in_(ids)
    for name in part.mentioned:
        text = cast(columns[name], String)
        for written in ids[:2]:
            yield text.contains(f'"{written}"', autoescape=True)
    if part.model is Delivery:
        yield exists().where(col(Outbox.key) == columns["outbox_key"], col(Outbox.person) == person)
