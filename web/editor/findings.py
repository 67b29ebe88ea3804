"""What is found about a draft, as people read it: each finding beside its part, with the input that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from placet.definition.variables import Variable
from placet.proofs.findings import Finding
from service.drafts.analysis import Analysis
from web.editor import parts
from web.editor.labels import place_of
from web.editor.page import address
from web.editor.parts import Content
from web.languages import Wording
from web.views.values import Fact, facts_of


@dataclass(frozen=True, kw_only=True)
class FindingLine:
    """A finding: the part that it is about, what to do, and the values with which it shows."""

    at: str
    title: str
    place: str  # the field of the part; "" where it is about the part as a whole
    address: str
    severity: str
    message: str
    witness: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class ReportView:
    """All findings about a revision, and what it changes since the version `before`."""

    revision: int
    errors: int
    errors_text: str
    sound_text: str
    warnings_text: str
    findings: tuple[FindingLine, ...]
    before: str | None
    changes: tuple[str, ...]
    least: str | None  # the lowest number that the next version may have


def report_of(content: Content, analysis: Analysis, base: str, wording: Wording) -> ReportView:
    """Return an analysis as it is shown; `base` is the address of the draft."""
    say = wording.say
    errors = sum(one.severity == "error" for one in analysis.findings)
    warnings = len(analysis.findings) - errors
    return ReportView(
        revision=analysis.revision,
        errors=errors,
        errors_text=wording.say_number("{count} fault", "{count} faults", errors).format(count=errors),
        sound_text=say("Proved sound"),
        warnings_text=wording.say_number("{count} remark", "{count} remarks", warnings).format(count=warnings)
        if warnings
        else "",
        findings=tuple(line_of(content, one, base, wording) for one in analysis.findings),
        before=analysis.before,
        changes=tuple(wording.tell(one.message) for one in analysis.change.reasons) if analysis.change else (),
        least=analysis.least_version,
    )


def line_of(content: Content, finding: Finding, base: str, wording: Wording) -> FindingLine:
    """Return a finding as it is shown; `base` is the address of the draft whose parts it leads to."""
    at = parts.part_of_pointer(content, finding.pointer)
    kind, _, name = at.partition(":")
    title = {"process": wording.say("Process"), "settings": wording.say("Settings")}.get(kind, name)
    if kind == "node":
        found = parts.node_at(content, at)
        node: Mapping[str, Any] = found[1] if found is not None else {}
        title = str(node.get("name") or node.get("step") or name)
    return FindingLine(
        at=at,
        title=title,
        place=place_of(parts.place_within(content, finding.pointer), wording.say),
        address=address(base, at),
        severity=finding.severity,
        message=finding.message,
        witness=() if finding.witness is None else facts_of(variables_of(content), finding.witness, wording),
    )


def variables_of(content: Content) -> tuple[Variable, ...]:
    """Return those declared variables that can be read."""
    found: list[Variable] = []
    for _, one in parts.variables(content):
        try:
            found.append(Variable.model_validate(one))
        except ValidationError:
            continue
    return tuple(found)
