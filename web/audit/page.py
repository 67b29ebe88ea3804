"""The audit of a request: what was verified of it, and its entries by kind and in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from service.principal import Principal
from service.verification import Verification
from service.visibility import see_request
from storage.queries.requests import timelines
from storage.queries.requests.timelines import TimelineRow
from web.audit.kinds import name_of
from web.languages import Wording
from web.paging import LINES
from web.views import words
from web.views.people import names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One entry: `kind` is its name in the chain, `name` the same in words. Deliveries have numbers of their own."""

    number: int
    at: datetime
    kind: str
    name: str
    stage: str | None
    actor: str
    hash: str
    delivery: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTrail:
    """The title of a request and who reads it, some of its entries, and the kinds of all of them with their names."""

    title: str
    reader: str
    lines: tuple[AuditLine, ...]
    kinds: Mapping[str, str]
    more: bool


def read_trail(
    connection: Connection, principal: Principal, request_id: str, wording: Wording, *, kind: str, page: int
) -> AuditTrail:
    """Read a page of the entries of a request, of one kind unless `kind` is empty; raises NotFound."""
    stored = see_request(connection, principal, request_id, wording.now).request
    rows = timelines.of_request(connection, request_id)
    chosen = [row for row in rows if not kind or row.kind == kind]
    shown = chosen[(page - 1) * LINES : page * LINES]
    names = names_of(connection, {row.actor for row in shown} | {principal.person})
    kinds = {one: name_of(wording.say, one) for one in {row.kind for row in rows}}
    return AuditTrail(
        title=stored.title,
        reader=names(principal.person),
        lines=tuple(
            _line(row, words.actor(wording.say, row.actor, names, row.detail.get("actor_type")), wording)
            for row in shown
        ),
        kinds=dict(sorted(kinds.items(), key=lambda item: item[1].casefold())),
        more=len(chosen) > page * LINES,
    )


def _line(row: TimelineRow, actor: str, wording: Wording) -> AuditLine:
    return AuditLine(
        number=row.seq,
        at=row.at,
        kind=row.kind,
        name=name_of(wording.say, row.kind),
        stage=row.stage,
        actor=actor,
        hash=row.hash,
        delivery=row.delivery,
    )


def differing(found: Verification, wording: Wording) -> Sequence[str]:
    """Return in words what of a request differs from its entries; what there are no words for is named as it is."""
    say = wording.say
    known = {
        "request": say("the request"),
        "request.seq": say("the number of entries"),
        "request.head": say("the end of the chain"),
        "request.requester": say("the requester"),
        "request.title": say("the title"),
        "request.version": say("the version of the process"),
        "request.status": say("the status"),
        "request.outcome": say("the outcome"),
        "request.action": say("the action"),
        "request.action_digest": say("the digest of the action"),
        "request.claim": say("the action that was claimed"),
        "request.claim_status": say("whether the action was claimed"),
        "request.claimed_by": say("who claimed the action"),
    }
    return [known.get(one, one) for one in found["rows"]["differs"]]
