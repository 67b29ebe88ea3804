"""The inbox: tasks that wait for the reader, those in their queues, and what they have decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import visibility_of
from storage.queries.cursor import Page
from storage.queries.requests import inbox as inbox_queries
from storage.queries.requests import requests, waiting_pages, watches
from storage.queries.requests.requests import ListedTask
from web.languages import Wording
from web.paging import PAGE
from web.views import words
from web.views.people import Names, names_of
from web.views.undo import undoable_of
from web.views.values import Fact, facts_named
from web.views.versions import Version, Versions
from web.views.waiting_processes import WaitingProcesses

Tab = Literal["mine", "queues", "decided", "watching"]
Sort = Literal["due", "age", "amount"]
COUNTED = 99
"""Counts stop here, and are shown as `99+`: nobody counts further, and the query stays cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxFilter:
    """What of the inbox is shown; it is in the address of the page, so that a view can be kept and sent."""

    tab: Tab = "mine"
    q: str = ""
    template: str = ""
    sla: str = ""
    sort: Sort = "due"
    cursor: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> InboxFilter:
        """Return what an address chooses; what cannot be chosen is as usual."""
        tab, sort, sla = given.get("tab", ""), given.get("sort", ""), given.get("sla", "")
        usual = cls()
        return cls(
            tab=next((one for one in get_args(Tab) if one == tab), usual.tab),
            q=given.get("q", "").replace("\0", "")[:200].strip(),
            template=given.get("template", "").replace("\0", "")[:200],
            sla=sla if sla in {"ok", "warning", "breached"} else "",
            sort=next((one for one in get_args(Sort) if one == sort), usual.sort),
            cursor=given.get("cursor") or None,
        )

    def address(self, **changes: Any) -> str:
        """Return the address of this view with some changes; what is as usual is left out."""
        changed = replace(self, cursor=None, **changes) if "cursor" not in changes else replace(self, **changes)
        usual = InboxFilter()
        given = {
            name: value
            for name in ("tab", "q", "template", "sla", "sort", "cursor")
            if (value := getattr(changed, name)) != getattr(usual, name) and value
        }
        # Without anything, the inbox would open with the view that the reader has chosen for that.
        return "/?" + urlencode(given or {"tab": usual.tab})

    @property
    def narrowed(self) -> bool:
        """Whether anything but the tab and the order is chosen."""
        return bool(self.q or self.template or self.sla)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """One task of the inbox.

    `quick` is what can be done in the list: `approve` where nothing else has to be entered, `claim` where it waits in a
    queue. `why_not` says in words why nothing can.
    """

    id: str
    request_id: str
    title: str
    requester: str
    template: str
    stage: str
    amount: Fact | None
    facts: tuple[Fact, ...]
    opened_at: datetime
    due_at: datetime | None
    sla: str
    sla_word: str
    revision: int
    quick: tuple[str, ...]
    why_not: str | None
    why_asked: str
    decision: str | None
    decided_at: datetime | None
    behalf: str | None
    escalated: bool
    undo_seconds: float | None  # that are left to undo the reader's decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """A page of the inbox."""

    rows: tuple[InboxRow, ...]
    next_cursor: str | None
    counts: dict[str, int]
    processes: tuple[str, ...]


def read_inbox(
    connection: Connection,
    principal: Principal,
    chosen: InboxFilter,
    versions: Versions,
    wording: Wording,
    *,
    known: WaitingProcesses,
) -> Inbox:
    """Read a page of the inbox with its counts, in one session."""
    seen = visibility_of(connection, principal.person, wording.now)
    common: dict[str, Any] = {
        "limit": PAGE,
        "cursor": chosen.cursor,
        "sla_state": chosen.sla or None,
        "template": chosen.template or None,
        "title": chosen.q or None,
    }
    if chosen.tab == "watching":  # these are requests and no tasks: web.views.requests.request reads them
        page: Page[ListedTask] = Page(items=(), next_cursor=None)
    elif chosen.tab == "decided":
        page = requests.task_page(connection, decided_by=principal.person, sort="decided", **common)
    else:
        page = requests.task_page(
            connection,
            waits_for=seen,
            claimed=chosen.tab == "mine",
            status="open",
            sort=chosen.sort,
            **common,
        )
    counts = {
        "mine": waiting_pages.count_waiting(connection, seen, claimed=True, most=COUNTED + 1),
        "answers": inbox_queries.count_answers(connection, principal.person, most=COUNTED + 1),
        "queues": waiting_pages.count_waiting(connection, seen, claimed=False, most=COUNTED + 1) if seen.queues else 0,
    }
    blueprints = versions.all_of(connection, (row.template_id for row in page.items))
    behalf = [row.assigned_via.partition(":")[2] for row in page.items if row.assigned_via.startswith("substitution")]
    names = names_of(
        connection, [*(row.requester for row in page.items), *(row.assignee for row in page.items), *behalf]
    )
    rows = tuple(
        row_of(row, blueprints[row.template_id], principal, names, wording, tab=chosen.tab) for row in page.items
    )
    if chosen.tab == "watching":
        viewer = None if principal.sees_all else seen
        processes = watches.templates_watched(connection, principal.person, viewer)
    elif chosen.tab == "decided":
        processes = ()
    else:
        shown = {row.template for row in page.items}
        processes = tuple(sorted(shown.union(known.of(connection, seen, wording.now))))
    return Inbox(rows=rows, next_cursor=page.next_cursor, counts=counts, processes=processes)


def read_inbox_count(connection: Connection, principal: Principal, wording: Wording) -> str | None:
    """Return how many tasks wait for the reader, as pages show it; None for none."""
    seen = visibility_of(connection, principal.person, wording.now)
    number = waiting_pages.count_waiting(connection, seen, claimed=True, most=COUNTED + 1)
    return counted(number) if number else None


def counted(number: int) -> str:
    """Write a count as far as it was counted."""
    return f"{COUNTED}+" if number > COUNTED else str(number)


def row_of(
    row: ListedTask,
    version: Version,
    principal: Principal,
    names: Names,
    wording: Wording,
    *,
    tab: Tab,
    with_action: bool = False,
) -> InboxRow:
    """Make the row of a task; `with_action` says that the page shows the action of the request beside it."""
    amount = next(
        iter(
            facts_named(version.variables, {version.amount or "": row.values.amount}, [version.amount or ""], wording)
        ),
        None,
    )
    others = (name for name in row.values.summary if name != version.amount)
    facts = facts_named(version.variables, row.values.summary, others, wording)
    quick, why_not = _quick(row, version, principal, wording, tab=tab, with_action=with_action)
    sla = "none" if row.due_at is None else row.sla_state
    undo = undoable_of(row, row.title, principal, wording)
    return InboxRow(
        id=row.id,
        request_id=row.request_id,
        title=row.title,
        requester=names(row.requester),
        template=row.template,
        stage=row.stage,
        amount=amount,
        facts=facts,
        opened_at=row.opened_at,
        due_at=row.due_at,
        sla=sla,
        sla_word=wording.say(words.SLA[sla]),
        revision=row.revision,
        quick=quick,
        why_not=why_not,
        why_asked=words.why_asked(wording.say, row.assigned_via, names),
        decision=row.decision,
        decided_at=row.decided_at,
        behalf=names(row.assignee) if row.assignee not in {None, principal.person} else None,
        escalated=row.escalation_level > 0,
        undo_seconds=undo.seconds if undo is not None else None,
    )


def _quick(
    row: ListedTask, version: Version, principal: Principal, wording: Wording, *, tab: Tab, with_action: bool
) -> tuple[tuple[str, ...], str | None]:
    if tab == "decided" or row.status != "open":
        return (), None
    if row.requester == principal.person:
        return (), wording.say("Nobody decides their own request.")
    if not principal.approves:
        return (), wording.say("Your access does not include deciding.")
    if tab == "queues":
        return ("claim",), None
    step = version.step(row.stage)
    if step is None:
        return (), None
    if step.form is not None:
        return (), wording.say("This decision has a form; open it to decide.")
    if "approve" in step.comment_required:
        return (), wording.say("This decision needs a comment; open it to decide.")
    if step.sign is not None:
        return (), wording.say("This decision is signed; open it to decide.")
    if row.action_digest is not None and not with_action:
        return (), wording.say("A machine will do exactly this; open it to read every value.")
    return ("approve",), None
