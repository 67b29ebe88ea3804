"""Variables that nothing reads."""

from __future__ import annotations

from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, warning
from placet.proofs.people.approvers import names_of


def variable_findings(draft: Draft) -> list[Finding]:
    """List the variables that no condition and no name reads; where a condition cannot be read, nobody knows."""
    if any(arrow.faulty for arrow in draft.arrows):
        return []
    used = {name for arrow in draft.arrows if arrow.condition is not None for name in arrow.condition.names}
    used |= draft.reads
    used |= {who.root.name for _, who in names_of(draft) if who.root.given}
    return [
        warning(
            "unused_variable",
            f"/variables/{index}",
            f"no condition and no approver depends on {variable.name!r}; that is fine where people read it",
        )
        for index, variable in enumerate(draft.blueprint.variables)
        if variable.name not in used
    ]
