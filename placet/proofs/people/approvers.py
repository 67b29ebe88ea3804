"""Approvers and quorums, as far as the blueprint alone tells; staffing.py adds what a directory tells."""

from __future__ import annotations

from collections.abc import Iterator

from placet.definition.assignees import AssigneeName, parse_assignee
from placet.definition.steps import ChosenApprover, Quorum, Step, WeightedApprover
from placet.plan.assignee_expressions import names_in
from placet.proofs.draft import Draft, DraftNode
from placet.proofs.findings import Finding, error, warning
from placet.proofs.structure.graph import components
from placet.sentences import sentence


def people_findings(draft: Draft) -> list[Finding]:
    """List the faults in approvers and quorums that do not depend on who the people are."""
    kinds: dict[str, str] = {v.name: v.type for v in draft.definition.variables}
    findings = [
        finding
        for name, pointer in draft.steps.items()
        for step in draft.definition.process_steps
        if step.stage_name == name
        for finding in (*_approvers(step, pointer, kinds), *_quorum(step, pointer))
    ]
    return [*findings, *_forbidden_twice(draft)]


def round_findings(draft: Draft) -> Iterator[Finding]:
    """Report where nobody can request changes, because the first round counts as one."""
    if draft.definition.settings.max_rounds == 1 and draft.definition.process_steps:
        message = (
            '"max_rounds" counts the first round too, so that with 1 nobody can request changes; write 2 for one '
            "request for changes"
        )
        yield warning("no_changes", "/settings/max_rounds", message)


def names_of(draft: Draft) -> Iterator[tuple[str, AssigneeName]]:
    """Generate every name that the blueprint gives, with its place."""
    if draft.definition.owner is not None:
        yield "/owner", parse_assignee(draft.definition.owner)
    for step in draft.definition.process_steps:
        here = draft.place(step)
        if "approvers" in step.model_fields_set:
            yield from approvers_of(step, here)
        if step.escalation_to is not None:
            yield f"{here}/escalation_to", parse_assignee(step.escalation_to)
        for index, level in enumerate(step.escalation or ()):
            yield f"{here}/escalation/{index}/to", parse_assignee(level.to)
    for node in draft.nodes.values():
        for place, name in node.names:
            yield place, parse_assignee(name)


def approvers_of(step: Step, pointer: str) -> Iterator[tuple[str, AssigneeName]]:
    """Generate a step's approvers with their places."""
    for place, who, _ in _entries(step, pointer):
        yield place, who


def chosen(step: Step) -> bool:
    """Say whether an expression chooses the approvers."""
    return any(isinstance(approver, ChosenApprover) for approver in step.approvers)


def _entries(step: Step, pointer: str) -> Iterator[tuple[str, AssigneeName, int]]:
    """Generate everybody who may approve, with their place and the weight of their vote."""
    for index, approver in enumerate(step.approvers):
        here = f"{pointer}/approvers/{index}"
        if isinstance(approver, str):
            yield here, parse_assignee(approver), 1
        elif isinstance(approver, WeightedApprover):
            yield f"{here}/who", parse_assignee(approver.who), approver.weight
        else:
            for name in names_in(approver.expr):
                yield f"{here}/expr", parse_assignee(name), approver.weight


def most_seats(step: Step) -> int | None:
    """Return the most seats that the step can have; None where roles or groups leave it open."""
    singles: set[str] = set()
    queues = 0
    for _, who in approvers_of(step, ""):
        if who.kind == "requester":
            continue  # nobody decides their own request
        if who.single:
            singles.add(str(who))
        elif step.claim or step.assign == "least_loaded":
            queues += 1
        else:
            return None
    return len(singles) + queues


def _approvers(step: Step, pointer: str, kinds: dict[str, str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, who in approvers_of(step, pointer):
        if str(who) in seen and not chosen(step):
            message = sentence(
                "{who} is named twice, and one person fills one seat; name somebody else or remove it", who=who
            )
            yield warning("repeated_approver", place, message)
        seen.add(str(who))
        if who.kind == "requester" and len(step.approvers) > 1 and not chosen(step):
            message = "the requester never gets a seat, for nobody decides their own request; remove it"
            yield warning("requester_approves", place, message)
        wanted = "list" if who.root.kind == "inputs" else "string"
        if who.root.given and kinds.get(who.root.name, wanted) != wanted:
            holds = (
                sentence("a list variable with people's ids")
                if wanted == "list"
                else sentence("a string variable with a person's id")
            )
            message = sentence("{who} needs {holds}, this is {kinds}", who=who, holds=holds, kinds=kinds[who.root.name])
            yield error("types", place, message)


def _quorum(step: Step, pointer: str) -> Iterator[Finding]:
    seats = most_seats(step)
    quorum = step.quorum
    if seats == 0:
        message = "nobody decides their own request, so a stage of only the requester is never approved; name others"
        yield error("impossible_quorum", f"{pointer}/approvers", message)
        return
    if not isinstance(quorum, Quorum):
        return
    here = f"{pointer}/quorum"
    if quorum.at_least is not None and seats is not None and quorum.at_least > seats:
        message = sentence(
            "{at_least} approvals can never come from {seats} seats; lower it, or name more approvers",
            at_least=quorum.at_least,
            seats=seats,
        )
        yield error("impossible_quorum", f"{here}/at_least", message)
    if quorum.weight is not None:
        weight = _most_weight(step)
        if weight is not None and quorum.weight > weight:
            message = sentence(
                "the seats weigh {weight} together, never {weight_2}; lower it, or raise the weights",
                weight=weight,
                weight_2=quorum.weight,
            )
            yield error("impossible_quorum", f"{here}/weight", message)


def _most_weight(step: Step) -> int | None:
    if most_seats(step) is None:
        return None
    weights: dict[str, int] = {}
    queues = 0
    for _, who, weight in _entries(step, ""):
        if who.kind == "requester":
            continue
        if who.single:
            weights.setdefault(str(who), weight)  # the first entry is the one that gets the seat
        else:
            queues += weight
    return sum(weights.values()) + queues


def _forbidden_twice(draft: Draft) -> Iterator[Finding]:
    """Find stages whose people have all had to decide before, where deciding twice is forbidden."""
    before = _surely_decided(draft)
    for node in draft.nodes.values():
        step = node.step
        if (
            step is None
            or (step.separation_of_duties or draft.definition.duties).repeat != "forbid"
            or most_seats(step) is None
        ):
            continue
        if chosen(step):  # who decides hangs on the input
            continue
        kept = tuple(
            approver
            for (_, who), approver in zip(approvers_of(step, ""), step.approvers, strict=True)
            if not who.single or str(who) not in before[node.id]
        )
        if len(kept) == len(step.approvers):
            continue
        left = list(_quorum(step.model_copy(update={"approvers": kept}), "")) if kept else [None]
        if left and not list(_quorum(step, "")):
            named = ", ".join(sorted(before[node.id] & {str(who) for _, who in approvers_of(step, "")}))
            said = sentence(
                "these have always decided an earlier stage: {named}; this process forbids deciding twice; ",
                named=named,
            )
            place = f"{draft.place(step)}/approvers"
            if draft.definition.owner or step.escalation_to or step.escalation:
                # Somebody else is asked, so the request goes on, though hardly as intended.
                yield warning(
                    "impossible_quorum", place, said + sentence("the escalation or the owner is always asked instead")
                )
            else:
                yield error("impossible_quorum", place, said + sentence("name other approvers, or allow it"))


def _surely_decided(draft: Draft) -> dict[str, set[str]]:
    """Return for each node which single people have decided on every way to it; loops are left open."""
    known: dict[str, set[str] | None] = dict.fromkeys(draft.nodes)
    for entry in draft.entries:
        known[entry.id] = set()
    for group in reversed(components(draft)):
        for name in group:
            here = known[name]
            if len(group) > 1:
                here = set()
            node = draft.nodes[name]
            for edge in node.edges:
                if here is None:
                    continue
                after = here | (_deciding(node) if edge.on in {None, "approved"} else set())
                there = known[edge.target]
                known[edge.target] = after if there is None else there & after
    return {name: found or set() for name, found in known.items()}


def _deciding(node: DraftNode) -> set[str]:
    """Return the individual people without whom the stage cannot be approved."""
    step = node.step
    if step is None or step.escalates or step.final == "approve" or most_seats(step) is None or chosen(step):
        return set()
    people = {str(who) for _, who in approvers_of(step, "") if who.kind == "user"}
    everybody = step.quorum == "all" or most_seats(step) == 1
    if isinstance(step.quorum, Quorum) and step.quorum.at_least is not None:
        everybody = everybody or step.quorum.at_least == most_seats(step)
    return people if everybody else set()
