"""Check a blueprint: prove its paths, decisions, quorums and escalations, and report findings with place and remedy.

`check` takes any JSON value and never raises. Findings that need a directory are reported where one is given.
docs/checks.md lists the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition
from placet.directory import Person
from placet.expressions.moments import Offsets
from placet.expressions.types import ZONE
from placet.plan.calendar_compiler import calendar_problems, zone_offsets
from placet.plan.plan import Child, Plan
from placet.proofs.bounds.budget import budget_findings, budget_of
from placet.proofs.bounds.duration import LONGEST_CHAIN, duration_findings, duration_of, undo_findings
from placet.proofs.certificate import ASSUMED, PROVEN, PROVEN_BY_A_DIRECTORY, Certificate
from placet.proofs.draft import Draft, draft_of
from placet.proofs.findings import Finding, Report, report
from placet.proofs.people.approvers import people_findings, round_findings
from placet.proofs.people.escalation import escalation_findings
from placet.proofs.people.staffing import staffing_of
from placet.proofs.solver import Undecided
from placet.proofs.solver.samples import sample_input
from placet.proofs.structure.changes import change_findings
from placet.proofs.structure.compilation import SOME_DAY, compiled
from placet.proofs.structure.graph import MOST_ROUNDS, cycles, graph_findings
from placet.proofs.structure.joins import join_findings
from placet.proofs.structure.parsing import read_shape
from placet.proofs.values.assignment import assigned, variable_findings
from placet.proofs.values.interfaces import interface_findings

if TYPE_CHECKING:
    from placet.proofs.values.reachability import Reach

__all__ = ["Certificate", "DirectoryView", "Finding", "Report", "check", "prove"]

# Findings about a path through the graph: their witness is an input that takes it.
_OF_A_WAY = {"endless_path", "unbounded_loop", "gap", "overlap"}


class DirectoryView(Protocol):
    """Everyone in the organisation by id; `placet.directory.Directory` is one."""

    @property
    def people(self) -> Mapping[str, Person]:
        """Return the people by id."""


def check(
    raw: object,
    *,
    directory: DirectoryView | None = None,
    actions: Mapping[str, ActionSpec] | None = None,
    children: Mapping[str, Child] | None = None,
) -> Report:
    """Check parsed JSON as a blueprint; an empty directory counts as none.

    `actions` is the catalog, `children` the processes that its sub-process nodes name; None: not known.
    """
    blueprint, findings = read_shape(raw)
    if blueprint is None:
        return report(findings)
    plan, refusals = compiled(blueprint, raw, actions, children)
    findings += refusals
    return _proven(blueprint, plan, findings, directory=directory, actions=actions, children=children)


def prove(
    definition: ProcessDefinition,
    plan: Plan,
    *,
    directory: DirectoryView | None = None,
    actions: Mapping[str, ActionSpec] | None = None,
    children: Mapping[str, Child] | None = None,
) -> Report:
    """Check a blueprint that was read and compiled already, among these actions and processes, as `check` does."""
    return _proven(definition, plan, [], directory=directory, actions=actions, children=children)


def _proven(
    definition: ProcessDefinition,
    plan: Plan | None,
    findings: list[Finding],
    *,
    directory: DirectoryView | None,
    actions: Mapping[str, ActionSpec] | None,
    children: Mapping[str, Child] | None,
) -> Report:
    """Add the findings of the proofs to those of the shape; `plan` is None where the blueprint does not compile."""
    draft = draft_of(definition)
    reach, evaluated = _evaluated(draft, actions, children)
    findings += interface_findings(definition, actions, children)
    loops = _bounded(draft, reach, actions)
    findings += [_shown(draft, reach, finding) for finding in graph_findings(draft, loops)]
    findings += change_findings(draft, reach)
    findings += [*evaluated, *people_findings(draft), *escalation_findings(draft), *variable_findings(draft)]
    if plan is None:
        return report(findings)
    allowed = {group: rounds for group, rounds in loops.items() if rounds <= MOST_ROUNDS}
    more, certificate = _measured(draft, plan, allowed, directory)
    findings += more
    unproven = any(finding.code == "not_proven" for finding in findings)
    return report(findings, replace(certificate, complete=not unproven))


def _evaluated(
    draft: Draft, actions: Mapping[str, ActionSpec] | None, children: Mapping[str, Child] | None
) -> tuple[Reach | None, list[Finding]]:
    """Prove everything that is evaluated: conditions, and the values that nodes compute."""
    conditions = any(edge.condition is not None for edge in draft.edges)
    if not conditions and not any(v.computes or v.guards or v.sets for v in draft.nodes.values()):
        return None, []
    # The solver is loaded only where it is needed.
    from placet.proofs.solver.prover import Prover
    from placet.proofs.structure.decisions import branch_findings
    from placet.proofs.values.evaluation import computed_findings
    from placet.proofs.values.outputs import output_findings
    from placet.proofs.values.reachability import Reach

    reach = Reach(draft, Prover(draft.definition.variables, _offsets(draft)), actions)
    known = assigned(draft, actions, children)
    return reach, [
        *branch_findings(draft, reach, known),
        *computed_findings(draft, reach, known, actions, children),
        *output_findings(draft, reach, actions, children),
    ]


def _bounded(draft: Draft, reach: Reach | None, actions: Mapping[str, ActionSpec] | None) -> dict[frozenset[str], int]:
    """Return the loops with a bound, each with its most rounds; without a decision there is none."""
    if reach is None or not cycles(draft):
        return {}
    from placet.proofs.structure.loops import bounded_loops

    return bounded_loops(draft, reach, actions)


def _offsets(draft: Draft) -> Offsets:
    """Return the offsets of the process's time zone, where an expression needs them."""
    if not any(ZONE in expression.world for expression in draft.expressions):
        return ()
    settings = draft.definition.settings
    if calendar_problems("24x7", settings.timezone):
        return ()  # the compiler names it
    return zone_offsets(settings.timezone, SOME_DAY)


def _shown(draft: Draft, reach: Reach | None, finding: Finding) -> Finding:
    """Add an input that takes the path to a finding about it, where there is one."""
    if finding.code not in _OF_A_WAY or finding.witness is not None:
        return finding
    place = finding.pointer
    sources = {edge.pointer: edge.source for edge in draft.edges}
    name = sources.get(place) or next((v.id for v in draft.nodes.values() if v.pointer == place), None)
    if name is None:
        return finding
    if reach is None:
        return replace(finding, witness=sample_input(draft.definition.variables))
    try:
        shown = reach.arrival(name) if reach.is_reachable(name) else None
        if finding.code == "unbounded_loop" and shown is not None:
            group = next((group for group in cycles(draft) if name in group), [])
            shown = reach.circling(group) or shown
    except Undecided:  # the finding stands without an input
        return finding
    return finding if shown is None else replace(finding, witness=shown.witness, opening=shown.opening)


def _measured(
    draft: Draft, plan: Plan, loops: Mapping[frozenset[str], int], directory: DirectoryView | None
) -> tuple[list[Finding], Certificate]:
    """Measure what a compiled plan needs: people, time and the engine's budget; `loops` are those with a bound."""
    definition = draft.definition
    staffing = staffing_of(draft, plan, directory.people if directory is not None else {})
    managers = LONGEST_CHAIN if staffing.longest_chain is None else staffing.longest_chain
    duration = duration_of(draft, plan, managers, loops)
    budget = budget_of(draft, plan, loops)
    findings = [
        *join_findings(draft, plan),
        *round_findings(draft),
        *staffing.findings,
        *duration_findings(draft, duration),
        *undo_findings(draft),
        *budget_findings(budget),
    ]
    hours = None if duration.total is None else duration.total.total_seconds() / 3600
    told = staffing.requesters > 0 and staffing.complete
    certificate = Certificate(
        digest=plan.digest,
        name=definition.name,
        version=definition.version,
        proven=(*PROVEN, *(PROVEN_BY_A_DIRECTORY if told else ())),
        assumed=ASSUMED,
        totals={
            "nodes": len(draft.nodes),
            "worst_case_working_hours": None if hours is None else str(round(hours, 6)),
            "longest_way": list(duration.edge),
            "waits_without_end": list(duration.endless),
            "requesters": staffing.requesters or None,
            "may_be_away": staffing.may_be_away,
            "engine": budget.described(),
        },
    )
    return findings, certificate
