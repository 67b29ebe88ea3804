"""A process as it is drawn, and the same as an outline: on its own, or with how far a request has come in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from sqlalchemy import Connection

from placet.definition.assignees import parse_assignee
from placet.definition.model import ProcessDefinition, parse_or_none
from placet.errors import NotFound, PlacetError
from service.principal import Principal
from service.visibility import see_request
from simulation.modes.ahead import Ahead
from simulation.modes.consequences import Unavailable
from storage.queries.requests import timelines
from web.graph.coming import Coming, coming_of
from web.graph.drawing import draw
from web.graph.process_graph import ProcessGraph, approver_names, graph_of
from web.graph.progress import AuditEntry, Progress, Visit, progress_of
from web.languages import Wording
from web.views import words
from web.views.people import Names, names_of
from web.views.versions import Version, Versions
from web.views.words import marked

STANDINGS = {
    "done": marked("passed"),
    "now": marked("going on"),
    "ended": marked("broken off"),
    "ahead": marked("not reached"),
}
KINDS = {
    "trigger": marked("Start"),
    "approval": marked("Approval"),
    "decision": marked("Decision"),
    "action": marked("Action"),
    "fork": marked("Fork"),
    "join": marked("Join"),
    "wait": marked("Wait"),
    "subprocess": marked("Sub-process"),
    "notify": marked("Message"),
    "terminator": marked("End"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineLine:
    """One node in words: `leads` says where it goes on, and what has to be for that; `share`, in how many of the
    explored branches it still comes.
    """

    id: str
    kind: str
    title: str
    note: str
    standing: str | None  # None where no request is shown
    word: str
    since: datetime | None
    until: datetime | None
    result: str
    leads: tuple[str, ...]
    signed: tuple[str, ...]  # the signatures of its decisions
    share: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPage:
    """The drawing of a process with its outline; `request_id` and `title` are of the request that is shown in it."""

    template_id: str
    name: str
    version: str
    description: str | None
    drawing: Markup
    outline: tuple[OutlineLine, ...]
    request_id: str | None
    title: str
    status: str
    coming: Coming | None = None  # what may still come of the request, where it goes on
    ui_url: str | None = None  # of the request in the Temporal Web UI, for whoever sees all requests


def read_process(
    connection: Connection, template_id: str, versions: Versions, wording: Wording, *, standalone: bool = False
) -> ProcessPage:
    """Read the drawing of a version of a process; raises NotFound."""
    version = versions.of(connection, template_id)
    definition = _drawable(version)
    graph = graph_of(definition, wording.say, _names(connection, definition))
    return _page(version, definition, graph, None, wording, standalone=standalone)


def read_request_process(
    connection: Connection,
    principal: Principal,
    request_id: str,
    versions: Versions,
    wording: Wording,
    *,
    ahead: Ahead | Unavailable | None = None,
    ui_url: str | None = None,
    standalone: bool = False,
) -> ProcessPage:
    """Read the drawing of a request's process with how far it has come, and what may come; raises NotFound."""
    stored = see_request(connection, principal, request_id, wording.now).request
    version = versions.of(connection, stored.template_id)
    definition = _drawable(version)
    graph = graph_of(definition, wording.say, _names(connection, definition))
    progress = progress_of(graph, timelines.of_request(connection, request_id))
    page = _page(
        version,
        definition,
        graph,
        progress,
        wording,
        standalone=standalone,
        coming=None if ahead is None else coming_of(graph, ahead, wording),
        request_id=request_id,
        title=stored.title,
        status=words.outcome(wording.say, stored.status, stored.outcome),
    )
    return replace(page, ui_url=ui_url if principal.sees_all else None)


def read_coming(
    connection: Connection,
    principal: Principal,
    request_id: str,
    versions: Versions,
    wording: Wording,
    *,
    ahead: Ahead | Unavailable | None,
) -> tuple[str, Coming | None]:
    """Read the title of a request, and what may still come of it in words; raises NotFound."""
    stored = see_request(connection, principal, request_id, wording.now).request
    definition = _drawable(versions.of(connection, stored.template_id))
    graph = graph_of(definition, wording.say, _names(connection, definition))
    return stored.title, None if ahead is None else coming_of(graph, ahead, wording)


def read_path(
    connection: Connection,
    blueprint: Mapping[str, Any],
    entries: Sequence[AuditEntry],
    wording: Wording,
    span: Callable[[int, Wording], str],
) -> ProcessPage | None:
    """Read the drawing of a blueprint with the path of a simulated request; None where it cannot be read.

    Moments of a simulation have no meaning; `span` writes how many milliseconds after the start something was.
    """
    definition = parse_or_none(blueprint)
    if definition is None or not entries:
        return None
    graph = graph_of(definition, wording.say, _names(connection, definition))
    progress = progress_of(graph, entries)
    start = entries[0].at

    def after(visit: Visit) -> str:
        at = visit.until or visit.since
        return "" if at is None else span((at - start) // timedelta(milliseconds=1), wording)

    marks = {name: after(visit) for name, visit in progress.visits.items()}
    name = wording.say("The process {name}").format(name=definition.name)
    drawing = draw(graph, progress, name=name, marks=marks, standalone=False)
    lines = (_line(graph, node, progress, wording) for node in drawing.order)
    return ProcessPage(
        template_id="",
        name=definition.name,
        version=definition.version,
        description=None,
        drawing=Markup(drawing.svg),  # noqa: S704 - web.graph.drawing escapes every text
        outline=tuple(
            replace(line, since=None, until=None, note=" · ".join(filter(None, (line.note, marks.get(line.id, "")))))
            for line in lines
        ),
        request_id=None,
        title="",
        status="",
    )


def _page(
    version: Version,
    definition: ProcessDefinition,
    graph: ProcessGraph,
    progress: Progress | None,
    wording: Wording,
    *,
    standalone: bool,
    coming: Coming | None = None,
    request_id: str | None = None,
    title: str = "",
    status: str = "",
) -> ProcessPage:
    say = wording.say
    marks = {} if progress is None else {name: _mark(visit, wording) for name, visit in progress.visits.items()}
    if coming is not None:
        marks = {**coming.marks, **marks}
    name = say("The process {name}").format(name=definition.name)
    classes = coming.classes if coming is not None else {}
    drawing = draw(graph, progress, name=name, marks=marks, ahead=classes, standalone=standalone)
    return ProcessPage(
        template_id=version.id,
        name=definition.name,
        version=definition.version,
        description=definition.description,
        drawing=Markup(drawing.svg),  # noqa: S704 - web.graph.drawing escapes every text
        outline=tuple(_with_share(_line(graph, node, progress, wording), coming, wording) for node in drawing.order),
        request_id=request_id,
        title=title,
        status=status,
        coming=coming,
    )


def _with_share(line: OutlineLine, coming: Coming | None, wording: Wording) -> OutlineLine:
    """Return a line with how often its node still comes; nodes that were reached are named where they come again."""
    if coming is None or line.id not in coming.words:
        return line
    share = coming.words[line.id]
    if line.standing == "ahead":
        return replace(line, share=share)
    if coming.classes[line.id] == "in-none":
        return line
    return replace(line, share=wording.say("again {share}").format(share=share))


def _line(graph: ProcessGraph, name: str, progress: Progress | None, wording: Wording) -> OutlineLine:
    node, say = graph.node[name], wording.say
    visit = progress.visits.get(name, Visit()) if progress is not None else Visit()
    leads = []
    for number in graph.leaving[name]:
        edge = graph.edges[number]
        target = graph.node[edge.target].title
        leads.append(f"{edge.label} → {target}" if edge.label else f"→ {target}")
    return OutlineLine(
        id=name,
        kind=say(KINDS[node.kind]),
        title=node.title,
        note=node.note,
        standing=None if progress is None else visit.standing,
        word="" if progress is None else say(STANDINGS[visit.standing]),
        since=visit.since,
        until=visit.until,
        result=words.result(say, visit.result) if visit.result else "",
        leads=tuple(leads),
        signed=tuple(said for one in visit.signatures if (said := words.signature(wording, one)) is not None),
    )


def _mark(visit: Visit, wording: Wording) -> str:
    at = visit.until or visit.since
    if at is None:
        return ""
    moment = wording.moment(at) if visit.until else wording.say("since {moment}").format(moment=wording.moment(at))
    return f"{moment} ({visit.times}×)" if visit.times > 1 else moment  # noqa: RUF001 - the sign for times


def _drawable(version: Version) -> ProcessDefinition:
    if version.definition is None:
        raise NotFound("This version of the process cannot be read any more, so there is nothing to draw.")
    return version.definition


def _names(connection: Connection, definition: ProcessDefinition) -> Names:
    """Read the names of the people whom a blueprint names."""
    found: set[str] = set()
    for step in definition.process_steps:
        for text in approver_names(step):
            try:
                root = parse_assignee(text).root
            except PlacetError:
                continue
            if root.kind == "user":
                found.add(root.name)
    return names_of(connection, found)
