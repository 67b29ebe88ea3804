"""The calls of the API that the client wraps: method, path, what each takes and what it answers.

`tests/unit/test_client_openapi.py` holds each of them to the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from placet.client.documents import (
    Claim,
    Entry,
    ListedTask,
    Me,
    Page,
    Request,
    Simulation,
    Template,
    Verification,
    Waiting,
)

BASE = "/api/v1"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[T]):
    """One call that answers with a T: the document `answer`, or a page of them if it is `listed`.

    `body` and `query` name what may be sent.
    """

    method: str
    path: str
    answer: type
    listed: bool = False
    body: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it changes something, so that it is sent with an Idempotency-Key."""
        return self.method != "GET"

    def call(
        self,
        *ids: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        seconds: float = 0,
    ) -> Call[T]:
        """Return one call; what is None is not sent. `seconds` is how long the server is asked to wait."""
        path = self.path
        for ident in ids:
            before, _, rest = path.partition("{")
            path = before + quote(_one_segment(ident), safe="") + rest.partition("}")[2]
        sent = None if body is None else {name: value for name, value in body.items() if value is not None}
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return Call(route=self, path=BASE + path, body=sent, query=asked, key=key, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call as it is sent, as often as it takes, each time with the same `key`."""

    route: Route[T]
    path: str
    body: Mapping[str, Any] | None
    query: Mapping[str, Any]
    key: str | None
    seconds: float


_PAGE = ("limit", "cursor")
_REQUEST = "/workflow/requests/{request_id}/"

ME: Route[Me] = Route(method="GET", path="/auth/me/", answer=Me)
TEMPLATES: Route[Page[Template]] = Route(
    method="GET",
    path="/workflow/process-templates/",
    answer=Template,
    listed=True,
    query=(*_PAGE, "name", "status"),
)
START: Route[Request] = Route(
    method="POST",
    path="/workflow/requests/",
    answer=Request,
    body=("template", "version", "title", "input", "requester", "action"),
)
REQUESTS: Route[Page[Request]] = Route(
    method="GET",
    path="/workflow/requests/",
    answer=Request,
    listed=True,
    query=(
        *_PAGE,
        "status",
        "template",
        "requester",
        "outcome",
        "title",
        "waits_for_answer",
        "watched",
        "started_after",
        "started_before",
        "ended_after",
        "ended_before",
        "sort",
    ),
)
REQUEST: Route[Request] = Route(method="GET", path=_REQUEST, answer=Request, query=("wait",))
TIMELINE: Route[Page[Entry]] = Route(method="GET", path=f"{_REQUEST}timeline/", answer=Entry, listed=True, query=_PAGE)
VERIFY: Route[Verification] = Route(method="GET", path=f"{_REQUEST}audit/verify/", answer=Verification)
WAITING: Route[Waiting] = Route(method="GET", path=f"{_REQUEST}waiting/", answer=Waiting)
WITHDRAW: Route[Request] = Route(method="POST", path=f"{_REQUEST}withdraw/", answer=Request, body=("reason",))
COMMENT: Route[Request] = Route(method="POST", path=f"{_REQUEST}comments/", answer=Request, body=("text",))
ANSWER: Route[Request] = Route(method="POST", path=f"{_REQUEST}questions/{{n}}/answer/", answer=Request, body=("text",))
RESUBMIT: Route[Request] = Route(
    method="POST", path=f"{_REQUEST}resubmit/", answer=Request, body=("input", "title", "comment", "action")
)
CLAIM: Route[Claim] = Route(method="POST", path=f"{_REQUEST}claim/", answer=Claim, body=("action",))
TASKS: Route[Page[ListedTask]] = Route(
    method="GET",
    path="/workflow/tasks/",
    answer=ListedTask,
    listed=True,
    query=(
        *_PAGE,
        "assignee",
        "status",
        "sla_state",
        "request_id",
        "template",
        "due_after",
        "due_before",
        "sort",
    ),
)
DECIDE: Route[Request] = Route(
    method="POST",
    path="/workflow/tasks/{task_id}/decide/",
    answer=Request,
    body=("decision", "comment", "form", "round", "revision", "reason"),
)
SIMULATE: Route[Simulation] = Route(method="POST", path="/workflow/workflow-simulations/", answer=Simulation)


def _one_segment(ident: str) -> str:
    """Return an id that is one part of a path; raises ValueError for one that would lead elsewhere."""
    if not ident or ident in {".", ".."}:
        raise ValueError(f"{ident!r} is no id")
    return ident
