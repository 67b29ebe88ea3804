"""Map a BPMN process to a blueprint, and say of every element of the file what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from placet.definition.action_spec import ActionSpec
from placet.definition.bpmn.build import Build
from placet.definition.bpmn.dmn.reader import dmn_tag, main_decision, read_dmn
from placet.definition.bpmn.dmn.rules import DmnTarget, Onward, table_nodes
from placet.definition.bpmn.elements import events
from placet.definition.bpmn.elements.branches import finish_forks
from placet.definition.bpmn.elements.form_fields import embedded_forms, item_types
from placet.definition.bpmn.file.flow_nodes import Flat, flatten, main_process
from placet.definition.bpmn.file.parser import read_term
from placet.definition.bpmn.file.reader import read_bpmn, tag
from placet.definition.bpmn.file.terms import Unclear
from placet.definition.bpmn.file.words import asks, says, slug
from placet.definition.bpmn.finish import finish
from placet.definition.bpmn.prepare import prepare
from placet.definition.bpmn.remarks import ElementRemark, ImportRemarks
from placet.definition.bpmn.walk import Walk
from placet.sentences import sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A blueprint as JSON values, and what became of each element of the file."""

    blueprint: dict[str, Any]
    left: tuple[ElementRemark, ...]


def import_bpmn(
    content: bytes,
    *,
    dmn: Sequence[bytes] = (),
    name: str | None = None,
    version: str = "1.0.0",
    actions: Mapping[str, ActionSpec] | None = None,
    processes: Collection[str] = (),
) -> Imported:
    """Map the main process of a BPMN 2.0 file; raises BlueprintInvalid for what is no BPMN, or is too much.

    `actions` is the catalog by name, `processes` the names of published processes, `dmn` the DMN files at hand: what
    service tasks, call activities and business rule tasks can stand for.
    """
    rules = read_dmn(*dmn)
    file = read_bpmn(content)
    process = main_process(file)
    account = ImportRemarks(file.root, tag)
    for other in file.processes:
        if other is not process:
            account.lost(other.id, "a file becomes one blueprint; import this one on its own")
            account.lose_inside(other.id, sentence("it lies in {other_id!r}, which is not imported", other_id=other.id))
    build = Build(
        flat=flatten(process),
        account=account,
        root=file.root,
        places=file.places,
        actions=actions or {},
        processes=processes,
        types=item_types(file.root),
        forms=embedded_forms(file.root),
        rules=rules,
    )
    account.mapped(process.id, "it became the blueprint")
    for pool in file.root.iter():
        if tag(pool) == "participant" and pool.get("processRef") == process.id:
            account.mapped(pool.get("id", ""), "the process has its name")
    prepare(build)
    events.by_event(build)
    for part in build.flat.idle:
        account.lost(part.id, "a process has one start; nodes that only this one leads to are left out")
    walk = Walk(build=build)
    walk.begin()
    finish_forks(walk)
    blueprint = finish(build, name or process.name or "Imported process", version)
    _lanes(build)
    return Imported(blueprint=blueprint, left=account.left())


def import_dmn(
    content: bytes, *, decision: str | None = None, name: str | None = None, version: str = "1.0.0"
) -> Imported:
    """Map a decision of a DMN file to a blueprint; raises BlueprintInvalid for what is no DMN, or cannot be said.

    `decision` is an id or a name, needed where there are several that no other requires. The process sets what the
    decision comes to, and ends with that as its outcome where it is one text.
    """
    rules = read_dmn(content)
    meant = main_decision(rules, decision)
    account = ImportRemarks(rules.roots[0], dmn_tag)
    build = Build(flat=Flat(), account=account, root=rules.roots[0], places={}, actions={}, processes=(), rules=rules)
    start = build.node("start", "trigger")
    steps = rules.ordered(meant)
    for other in rules.decisions.values():
        if other not in steps:
            account.lost(other.id, "a file becomes one blueprint; import this decision on its own")

    def ending(values: Mapping[str, Any]) -> str:
        return build.end(_outcome(values))

    following: Onward = ending
    entry = ""
    for step in reversed(steps):
        entry = table_nodes(build, step, DmnTarget(), following, ident=step.id)
        following = _always(entry)
    build.edge(start, entry)
    return Imported(blueprint=finish(build, name or meant.name, version), left=account.left())


def _always(node: str) -> Onward:
    return lambda _: node


def _outcome(values: Mapping[str, Any]) -> str:
    """Return how a process ends that only decides: as its one text says, or whether it is approved."""
    if len(values) != 1:
        return "completed"
    ((name, text),) = values.items()
    try:
        term = read_term(text)
    except Unclear:
        return "completed"
    stance = asks(name)
    if term.op == "bool" and stance is not None:
        return stance if term.value else "rejected" if stance == "approved" else "approved"
    return says(str(term.value)) or slug(str(term.value), "completed") if term.op == "text" else "completed"


def _lanes(build: Build) -> None:
    """Say of each lane whether it names approvers."""
    roles = {str(who) for step in build.steps for who in step.get("approvers", ())}
    asked = {stage.part.lane for stage in build.stages if any(who.startswith("role:") for who in roles)}
    for lane in build.root.iter():
        ident = lane.get("id", "")
        if build.account.told(ident):
            continue
        if tag(lane) == "laneSet" and ident:
            build.account.mapped(ident, "its lanes are reported one by one")
        elif tag(lane) == "lane" and ident:
            name = " ".join((lane.get("name") or "").split())[:200]
            if name in asked:
                build.account.mapped(ident, "tasks without an assignee go to the role with the lane's name")
