"""Check a blueprint: proofs about every path, decision, quorum and escalation, each finding with a place and a remedy.

`check` takes any JSON value and never raises. What only a directory can tell is told where one is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from placet.check.certificate import Certificate
from placet.check.compiled import compiled
from placet.check.draft import draft_of
from placet.check.findings import Finding, Report, error, report
from placet.check.graph import graph_findings
from placet.check.shape import read_shape
from placet.directory import Person

__all__ = ["Certificate", "DirectoryView", "Finding", "Report", "check"]


class DirectoryView(Protocol):
    """Everyone in the organisation by id; `placet.directory.Directory` is one."""

    @property
    def people(self) -> Mapping[str, Person]:
        """Return the people by id."""


def check(raw: object, *, directory: DirectoryView | None = None) -> Report:  # noqa: ARG001
    """Check parsed JSON as a blueprint; an empty directory counts as none."""
    blueprint, findings = read_shape(raw)
    if blueprint is None:
        return report(findings or [error("schema", "", "this is no blueprint")])
    _, refusals = compiled(blueprint, raw)
    findings += refusals
    draft = draft_of(blueprint)
    if any(arrow.condition is not None for arrow in draft.arrows):
        # The solver is loaded for those who need it only.
        from placet.check.branches import branch_findings
        from placet.check.reach import Reach
        from placet.solver.prover import Prover

        reach = Reach(draft, Prover(blueprint.variables))
        findings += branch_findings(draft, reach)
    findings += graph_findings(draft)
    return report(findings)
