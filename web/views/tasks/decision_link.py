"""What the page of a link that decides says: what it would decide, or why it decides nothing and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from placet.errors import LinkRefused, NotPermitted, PlacetError, ReauthenticationRequired
from service.decision_links import DecisionLink
from service.principal import Principal
from storage.queries.requests import timelines
from web.languages import Wording
from web.views import words
from web.views.requests.timeline import changes_since
from web.views.tasks.task import TaskPage, read_task
from web.views.values import ChangedFact
from web.views.versions import Versions
from web.views.words import marked as _

_ELSEWHERE = _("Nothing was decided. Open Placet and decide there.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    status: int
    title: str
    text: str


_FAULTS = {
    "unreadable": _Fault(
        status=404,
        title=_("This link is not whole"),
        text=_(
            "It was cut off or changed on its way, or the key that links are signed with has been replaced. Nothing "
            "was decided. Open it again from the message itself, or open Placet and decide there."
        ),
    ),
    "expired": _Fault(
        status=410,
        title=_("This link has expired"),
        text=_("Links decide for {span} after they are sent. Nothing was decided. Open Placet and decide there."),
    ),
    "left": _Fault(
        status=410,
        title=_("This link decides nothing any more"),
        text=_("Whom it was sent to is not active in Placet any more. Nothing was decided. An admin can change that."),
    ),
    "unknown": _Fault(status=410, title=_("The task of this link is not there any more"), text=_ELSEWHERE),
    "off": _Fault(
        status=410,
        title=_("Links do not decide here"),
        text=_("They were switched off, for all of Placet or for this stage. Nothing was decided. Open Placet."),
    ),
    "other_person": _Fault(
        status=403,
        title=_("This link is for somebody else"),
        text=_(
            "It was sent to {person}, and you are logged in as {me}. Nothing was decided: a link decides for its "
            "person alone. If you are to decide instead, {person} can delegate the task to you."
        ),
    ),
    "log_in": _Fault(
        status=401,
        title=_("Log in to decide"),
        text=_("You are not logged in any more, and nothing was decided. Log in, and the link goes on."),
    ),
    "used": _Fault(
        status=410,
        title=_("You have decided this"),
        text=_("A link decides once, and your decision stands: {decision}."),
    ),
    "decided": _Fault(status=410, title=_("This has been decided"), text=_("Nothing more was decided.")),
    "closed": _Fault(status=410, title=_("Your decision is not needed any more"), text=_("Nothing more was decided.")),
    "returned": _Fault(
        status=410,
        title=_("The request is with its requester"),
        text=_("Nothing was decided. You will be asked again, with a new link, when it comes back."),
    ),
    "handed_over": _Fault(
        status=410,
        title=_("This link does not hold any more"),
        text=_(
            "The task has changed hands since it was sent, or a decision was undone. Nothing was decided. Open the "
            "task and decide there."
        ),
    ),
    "changed": _Fault(
        status=410,
        title=_("The request has changed since this link was sent"),
        text=_("Nothing was decided. Look at what changed, and decide in Placet on the request as it is now."),
    ),
    "sign": _Fault(
        status=401,
        title=_("This decision is signed"),
        text=_("A link signs nothing, and nothing was decided. Open the task, decide there, and confirm who you are."),
    ),
    "not_yours": _Fault(status=403, title=_("You cannot decide this"), text=_("Nothing was decided.")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLink:
    """Why a link decides nothing, and what to do. `task` is the page to open instead; None: no such page is known."""

    code: str
    status: int
    title: str
    text: str
    subject: str | None = None
    facts: str | None = None
    changes: tuple[ChangedFact, ...] = ()
    task: str | None = None


def refused(error: LinkRefused, wording: Wording, *, me: Principal | None, lasts: timedelta) -> DeadLink:
    """Return what is said where nothing of the request may be shown."""
    fault, say = _FAULTS[error.code], wording.say
    text = say(fault.text).format(
        person=error.person, me=None if me is None else me.name or me.person, span=wording.span(lasts)
    )
    return DeadLink(code=error.code, status=fault.status, title=say(fault.title), text=text)


def spent(  # noqa: PLR0917 - all of it is one page
    code: str | None,
    link: DecisionLink,
    page: TaskPage,
    wording: Wording,
    changes: tuple[ChangedFact, ...],
    lost: PlacetError | None,
) -> DeadLink:
    """Return what is said where the request has gone on: what stands, what changed, and where to decide now.

    Without a code, only the core knows why: `lost` is its refusal.
    """
    if code is None:
        lost_to = {NotPermitted: "not_yours", ReauthenticationRequired: "sign"}
        code = next((one for kind, one in lost_to.items() if isinstance(lost, kind)), "closed")
    fault, say = _FAULTS[code], wording.say
    decision = say(words.DECIDED.get(page.task.decision or "", "Decided"))
    return DeadLink(
        code=code,
        status=fault.status,
        title=say(fault.title),
        text=say(fault.text).format(decision=decision),
        subject=page.title,
        facts=None if code == "used" else page.refused or (lost.message if code == "not_yours" and lost else None),
        changes=changes,
        task=f"/tasks/{link.task.id}",
    )


def read_page(  # noqa: PLR0917 - all of it is one page
    connection: Connection,
    link: DecisionLink,
    principal: Principal,
    versions: Versions,
    wording: Wording,
    filled: Mapping[str, Any] | None = None,
) -> tuple[TaskPage, str | None, tuple[ChangedFact, ...]]:
    """Return the task of a link, the code of why the link decides nothing (None: it may), and what changed since.

    `filled` is what was entered into its form before.
    """
    page = read_task(connection, principal, link.task.id, versions, wording, filled)
    code = link.spent or ("not_yours" if page.refused is not None else None)
    if code != "changed":
        return page, code, ()
    version = versions.of(connection, link.request.request.template_id)
    rows = timelines.of_request(connection, page.request_id)
    return page, code, changes_since(rows, link.claims.revision, version, wording)
