"""What may still come of a request, in words: for its drawing, for the outline of that, and as a list of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.consequences import AWAY
from simulation.modes.ahead import MANY, RETURNED, STUCK, Ahead
from simulation.modes.consequences import SLOW, Unavailable
from web.graph.process_graph import ProcessGraph
from web.languages import Wording
from web.views.words import marked

_REASONS = {
    RETURNED: marked("Its requester is asked to change it, and may lead it elsewhere by that."),
    MANY: marked("There are too many ways on to follow all of them."),
    STUCK: marked("No way on was found."),
    SLOW: marked("Working it out would take too long."),
    AWAY: marked("The engine does not answer now. Look again later."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """How often each node comes in the branches that were explored, by node: `classes` are those of the drawing.

    `reason` says why nothing is known, and is empty where something is. `lines` are the nodes that come at all, with
    their words, the most frequent first.
    """

    reason: str = ""
    branches: int = 0
    whole: bool = True
    classes: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[tuple[str, str], ...] = ()


def coming_of(graph: ProcessGraph, found: Ahead | Unavailable, wording: Wording) -> Coming:
    """Return what may still come, in words."""
    say = wording.say
    if isinstance(found, Unavailable):
        return Coming(reason=say(_REASONS.get(found.reason, found.reason)))
    passing = {node.id: found.passing.get(node.id, 0) for node in graph.nodes}
    said = {name: _share(times, found.branches, wording) for name, times in passing.items()}
    listed = sorted((node for node in graph.nodes if passing[node.id]), key=lambda node: -passing[node.id])
    return Coming(
        branches=found.branches,
        whole=found.whole,
        classes={name: _class(times, found.branches) for name, times in passing.items()},
        words={name: words for name, (words, _) in said.items()},
        marks={name: mark for name, (_, mark) in said.items()},
        lines=tuple((node.title, said[node.id][0]) for node in listed),
    )


def _share(times: int, of: int, wording: Wording) -> tuple[str, str]:
    """Return how often a node comes: in words, and in short for a drawing."""
    say = wording.say
    if not times:
        return say("in no explored branch"), say("no branch")
    if times == of:
        return say("in every explored branch"), say("every branch")
    counted = {"number": wording.number(times), "of": wording.number(of)}
    return (
        say("in {number} of {of} explored branches").format(**counted),
        say("{number} of {of} branches").format(**counted),
    )


def _class(times: int, of: int) -> str:
    return "in-every" if times == of else "in-some" if times else "in-none"
