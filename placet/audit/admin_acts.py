"""Administrative acts: what people and programs change outside of requests, in one hash chain of the installation.

The chain is made as that of a request is (placet.audit.chain). `detail` holds ids, codes and counts: never a secret,
and no more of a person than their id, unless it is sealed. docs/audit.md says when each kind is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from placet.audit import chain

Way = Literal["api", "page", "command line", "scim", "system"]
"""How an act came in; `system`: Placet did it by itself."""
Outcome = Literal["done", "begun", "partly", "nothing"]
"""What came of an act. One that is no single transaction is `begun` first; a second act says what came of it."""
WAYS: Final[tuple[Way, ...]] = get_args(Way)
KINDS: Final = frozenset({
    "action_added", "action_changed", "canary_begun", "canary_promoted", "canary_reverted", "contents_erased",
    "chat_linked", "chat_unlinked",
    "draft_created", "draft_discarded", "draft_published", "draft_reopened", "draft_saved", "draft_submitted",
    "event_log_deleted", "event_log_imported", "evidence_ordered", "group_changed", "group_removed",
    "key_rotated", "login_link_made", "messages_resent",
    "notification_template_changed", "notification_template_restored",
    "people_loaded", "person_added", "person_changed", "person_erased", "person_exported",
    "requests_cancelled", "requests_extended", "requests_moved", "retention_removed", "retention_set",
    "sessions_ended",
    "sla_added", "sla_breach_acknowledged", "sla_changed", "sla_removed",
    "suggestion_accepted", "suggestion_added", "suggestion_rejected", "suggestions_generated", "tasks_reassigned",
    "token_made", "token_revoked",
    "version_changed", "version_created", "version_deprecated", "version_published",
    "webhook_added", "webhook_changed", "webhook_removed", "webhook_replayed",
})  # fmt: skip
"""Every kind of act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: its kind, what it was done to (as `person:mia`, `token:4f…`), what is essential, and its outcome.

    What is `sealed` of the detail, by its names, can be erased: the chain holds commitments to it.
    """

    kind: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = "done"
    sealed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActedBy:
    """Who acts, and in which way: `actor` is `user:<id>`, `operator` for whoever has the command line, or `system`."""

    actor: str
    actor_type: str
    way: Way


OPERATOR: Final = ActedBy(actor="operator", actor_type="operator", way="command line")
"""Whoever has a shell on the installation; the machine knows who that was, Placet does not."""
SYSTEM: Final = ActedBy(actor="system", actor_type="system", way="system")
"""Placet itself, where it does what somebody declared."""


def genesis() -> str:
    """Return the hash that the first act of an installation follows."""
    return chain.genesis("admin-acts")


def link(
    previous: str, act: Act, by: ActedBy, *, seq: int, at: datetime, salts: Mapping[str, str] | None = None
) -> chain.Entry:
    """Make the entry of an act that follows the entry with hash `previous`; raises ValueError for an unknown kind.

    `salts` are those of what is sealed of its detail, by the name.
    """
    if act.kind not in KINDS:
        raise ValueError(f"name {act.kind!r} in placet.audit.admin_acts.KINDS and in docs/audit.md")
    committed = {
        "actor_type": by.actor_type,
        "detail": chain.exact(dict(act.detail)),
        "outcome": act.outcome,
        "target": act.target,
        "way": by.way,
    }
    return chain.link(
        previous,
        seq=seq,
        at=at,
        kind=act.kind,
        actor=by.actor,
        stage=None,
        task_id=None,
        detail=committed,
        salts={f"/detail/{name}": salt for name, salt in (salts or {}).items()},
    )
