"""Changes: whether an approval may still count after the content changed, as `on_change: "stage"` allows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import TYPE_CHECKING, Any

from placet.definition.assignees import parse_assignee
from placet.proofs.draft import Draft, DraftNode
from placet.proofs.findings import Finding, error, warning
from placet.proofs.solver import Undecided
from placet.proofs.solver.samples import sample_input
from placet.proofs.structure.graph import reached
from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.proofs.values.reachability import Reach


_REMEDY = sentence('set "on_change" to "restart", so that a changed request goes again from its first node')


def change_findings(draft: Draft, reach: Reach | None) -> list[Finding]:
    """Warn where a request can be changed after an approval, or after its approvers were chosen, and end approved."""
    settings = draft.definition.settings
    if settings.immaterial and settings.max_rounds > 1:
        return _depended_on(draft)
    if draft.definition.on_change != "stage" or settings.max_rounds == 1:
        return []
    return _Changes(draft, reach, "/settings/on_change" if settings.on_change is not None else "/settings").findings()


def _depended_on(draft: Draft) -> list[Finding]:
    """Refuse immaterial variables that the process depends on: a change of them changes what was approved."""
    reads = {
        name: sentence("a condition of {source!r}", source=a.source)
        for a in draft.edges
        if a.condition
        for name in a.condition.names
    }
    for node in draft.nodes.values():
        reads |= {name: f"what {node.id!r} computes" for c in node.computes for name in c.expression.names}
    for step in draft.definition.process_steps:
        for approver in step.approvers:
            text = approver if isinstance(approver, str) else getattr(approver, "who", None)
            if text is not None and (root := parse_assignee(text).root).given:
                reads[root.name] = sentence("an approver of {stage_name!r}", stage_name=step.stage_name)
    witness = sample_input(draft.definition.variables)
    return [
        error(
            "approval_of_changed_content",
            f"/settings/immaterial/{index}",
            sentence(
                "{name!r} is not immaterial: {reads} depends on it, and a change of it would leave "
                "approvals as they are; remove it here",
                name=name,
                reads=reads[name],
            ),
            witness=witness,
        )
        for index, name in enumerate(draft.definition.settings.immaterial)
        if name in reads
    ]


class _Changes:
    def __init__(self, draft: Draft, reach: Reach | None, pointer: str) -> None:
        self._draft = draft
        self._reach = reach
        self._pointer = pointer
        self._behind = {name: reached(draft, [name]) for name, v in draft.nodes.items() if v.step or v.chooses}
        self._approvals = [node for node in draft.nodes.values() if node.step is not None]

    def findings(self) -> list[Finding]:
        """Return one finding of each kind: the setting is one for the whole process."""
        return [found for kind in (self._outlived(), self._bypassed()) if (found := next(kind, None)) is not None]

    def _outlived(self) -> Iterator[Finding]:
        """Find an approval that stays although a later or parallel approver requests changes."""
        beside = self._beside()
        for earlier, later in permutations(self._approvals, 2):
            if later.id in self._behind[earlier.id] or (earlier.id, later.id) in beside:
                witness = self._input_at(later)
                if witness is not None:
                    message = sentence(
                        "once {earlier} has approved the witness, {later} may ask for changes and approve "
                        "whatever comes back, and {earlier} is not asked again; {remedy}",
                        earlier=_name(earlier),
                        later=_name(later),
                        remedy=_REMEDY,
                    )
                    yield warning("approval_of_changed_content", self._pointer, message, witness=witness)

    def _bypassed(self) -> Iterator[Finding]:
        """Find an approval to which a decision led, and an input that would have led to another one."""
        for choice in (v for v in self._draft.nodes.values() if v.chooses):
            options = [v for v in self._approvals if v.id in self._behind[choice.id]]
            for asked, other in permutations(options, 2):
                if other.id in self._behind[asked.id] or asked.id in self._behind[other.id]:
                    continue
                opening, witness = self._input_at(asked), self._input_at(other)
                if opening is not None and witness is not None and opening != witness:
                    message = sentence(
                        "{id!r} leads the opening to {asked}, who may ask for changes and approve the witness, "
                        "which {id!r} would have led to {other}; {remedy}",
                        id=choice.id,
                        asked=_name(asked),
                        other=_name(other),
                        remedy=_REMEDY,
                    )
                    yield warning(
                        "approval_of_changed_content", self._pointer, message, witness=witness, opening=opening
                    )

    def _beside(self) -> set[tuple[str, str]]:
        """Return the pairs of approvals that are asked at the same time, in two branches of a fork."""
        pairs: set[tuple[str, str]] = set()
        for fork in (v for v in self._draft.nodes.values() if v.splits):
            branches = [reached(self._draft, [edge.target]) for edge in fork.edges]
            for one, other in permutations(branches, 2):
                pairs |= {(a.id, b.id) for a, b in permutations(self._approvals, 2) if a.id in one and b.id in other}
        return pairs

    def _input_at(self, node: DraftNode) -> dict[str, Any] | None:
        """Return an input with which a request begins that comes to a node; None where none is known."""
        if self._reach is None:
            return sample_input(self._draft.definition.variables)
        try:
            shown = self._reach.arrival(node.id) if self._reach.is_reachable(node.id) else None
        except Undecided:
            return None
        return None if shown is None or shown.opening is not None else shown.witness


def _name(node: DraftNode) -> str:
    assert node.step is not None, f"{node.id} is an approval"  # noqa: S101
    return repr(node.step.stage_name)
