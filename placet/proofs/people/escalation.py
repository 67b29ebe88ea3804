"""Escalations that lead back to where they began, or that never apply."""

from __future__ import annotations

from collections.abc import Iterator

from placet.definition.assignees import AssigneeName, parse_assignee
from placet.definition.steps import Step
from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, error, warning
from placet.proofs.people.approvers import approvers_of
from placet.sentences import sentence


def escalation_findings(draft: Draft) -> list[Finding]:
    """List the faults in the escalation of every step. Every escalation is finite by construction."""
    return [f for step in draft.definition.process_steps for f in _step(step, draft.place(step))]


def levels_of(step: Step, pointer: str) -> Iterator[tuple[str, AssigneeName, str]]:
    """Generate the levels of a step's escalation: place, target, action."""
    if not step.escalates:
        return
    if step.escalation_to is not None:
        yield f"{pointer}/escalation_to", parse_assignee(step.escalation_to), "reassign"
    for index, level in enumerate(step.escalation or ()):
        yield f"{pointer}/escalation/{index}/to", parse_assignee(level.to), level.action


def _step(step: Step, pointer: str) -> Iterator[Finding]:
    approvers = {str(who) for _, who in approvers_of(step, pointer)}
    earlier: set[str] = set()
    for place, target, action in levels_of(step, pointer):
        level = warning if action == "notify" else error
        if str(target) in approvers or target.kind == "assignee":
            message = sentence(
                "this escalates to {target}, whose task it is already; name somebody above", target=target
            )
            yield level("escalation_to_oneself", place, message)
        elif target.kind == "requester" and action != "notify":
            message = "nobody decides their own request, so it cannot escalate to the requester; name somebody else"
            yield error("escalation_to_requester", place, message)
        elif str(target) in earlier:
            message = sentence(
                "an earlier level already escalates to {target}; name somebody above, or remove it", target=target
            )
            yield warning("repeated_escalation", place, message)
        earlier.add(str(target))
    timed = step.sla_hours is not None or step.sla is not None
    if step.final != "wait" and not timed:
        message = sentence(
            '"final": "{final}" comes after a breach, and there is no SLA; give "sla_hours"', final=step.final
        )
        yield warning("final_never_applies", f"{pointer}/final", message)
    if step.re_escalate_after_hours is not None and not step.escalates:
        message = "nothing escalates here, so this never applies; give a target, or remove it"
        yield warning("escalation_never_applies", f"{pointer}/re_escalate_after_hours", message)
    if step.reminders is not None and not timed and step.reminders.before_hours:
        message = 'reminders before a deadline need one; give "sla_hours", or remind with "every_hours"'
        yield warning("reminder_never_applies", f"{pointer}/reminders/before_hours", message)
