"""What came of suites: passed and failed scenarios, and coverage, as JSON, as text and as JUnit's XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # nosec - written here, and never read

from rich.markup import escape

from cli.terminal.output import out
from cli.testing.suite_files import SuiteFile
from placet.errors import InputInvalid
from simulation.report.result import json_value
from simulation.testing.coverage import Coverage
from simulation.testing.scenario_run import ScenarioRun, timeline_of
from simulation.testing.spans import span_text

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """A scenario that was run: of which suite, in so many seconds, and notes about it."""

    suite: SuiteFile
    run: ScenarioRun
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> list[str]:
        """What differs, each with file, line and column."""
        return [f"{self.suite.place(one.path)}: {one.message}" for one in self.run.differences]

    @property
    def timeline(self) -> list[str]:
        """What happened, a line each."""
        return timeline_of(self.run.trace) if self.run.trace is not None else []

    @property
    def outcome(self) -> str:
        """How the request ended, and when."""
        if self.run.trace is None:
            return "refused"
        state = self.run.trace.state
        ended = f" at {span_text(self.run.trace.duration)}" if state.ended_at is not None else ""
        return f"{state.outcome or state.status}{ended}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueprintCoverage:
    """What the scenarios of one blueprint reach."""

    blueprint: Path
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What came of all suites."""

    mode: str
    scenarios: tuple[ScenarioResult, ...]
    coverage: tuple[BlueprintCoverage, ...]
    coverage_required: bool

    @property
    def failed(self) -> int:
        """The number of scenarios that failed."""
        return sum(not one.run.passed for one in self.scenarios)

    @property
    def ok(self) -> bool:
        """Whether all scenarios passed, and reached everything where that is required."""
        return not self.failed and not (self.coverage_required and any(not c.coverage.complete for c in self.coverage))

    def described(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "ok": self.ok,
            "mode": self.mode,
            "scenarios": [
                {
                    "file": str(one.suite.file),
                    "line": one.suite.text.place(("scenarios", one.suite.suite.scenarios.index(one.run.test))).line,
                    "name": one.run.test.name,
                    "passed": one.run.passed,
                    "outcome": one.outcome,
                    "seconds": round(one.seconds, 3),
                    "faults": one.faults,
                    "notes": list(one.notes),
                    "timeline": one.timeline,
                }
                for one in self.scenarios
            ],
            "coverage": [
                {
                    "blueprint": str(one.blueprint),
                    "reached": one.coverage.total - len(one.coverage.missed),
                    "total": one.coverage.total,
                    "missed": [
                        {
                            "kind": missed.reached.kind,
                            "name": missed.reached.name,
                            "result": missed.reached.result or None,
                            "witness": json_value(missed.witness),
                        }
                        for missed in one.coverage.missed
                    ],
                    "warnings": list(one.coverage.warnings),
                }
                for one in self.coverage
            ],
        }


def show(results: Results) -> None:
    """Print the results for people."""
    file: Path | None = None
    for one in results.scenarios:
        if one.suite.file != file:
            file = one.suite.file
            out.print(f"[bold]{escape(str(file))}[/bold]", soft_wrap=True)
        mark = "[green]passed[/green]" if one.run.passed else "[red]failed[/red]"
        out.print(f"  {mark}  {escape(one.run.test.name)} [dim]({escape(one.outcome)})[/dim]", soft_wrap=True)
        for note in one.notes:
            out.print(f"    {note}", markup=False, soft_wrap=True)
        if not one.run.passed:
            for fault in one.faults:
                out.print(f"    {fault}", markup=False, soft_wrap=True)
            out.print("    what happened:" if one.timeline else "    nothing happened", markup=False)
            for line in one.timeline:
                out.print(f"    {line}", markup=False, soft_wrap=True)
    for covered in results.coverage:
        for line in _coverage_lines(covered):
            out.print(line, markup=False, soft_wrap=True)
    many = len(results.scenarios)
    out.print(f"{many} scenario{'s' if many != 1 else ''}: {many - results.failed} passed, {results.failed} failed")


def _coverage_lines(covered: BlueprintCoverage) -> Iterator[str]:
    coverage = covered.coverage
    reached = coverage.total - len(coverage.missed)
    yield f"{covered.blueprint}: {reached} of {coverage.total} results and ends are reached"
    for missed in coverage.missed:
        witness = json.dumps(json_value(missed.witness), ensure_ascii=False)
        yield f"  not reached: {missed.reached}, for example with {witness}"
    for warning in coverage.warnings:
        yield f"  {warning}"


def write_junit(results: Results, file: Path) -> None:
    """Write the results as JUnit's XML, which CI systems read; raises InputInvalid where it cannot be written."""
    root = ET.Element("testsuites", name="placet test")
    for suite in dict.fromkeys(one.suite.file for one in results.scenarios):
        own = [one for one in results.scenarios if one.suite.file == suite]
        _suite(root, str(suite), own)
    if results.coverage_required:
        _coverage(root, results.coverage)
    ET.indent(root)
    try:
        file.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
    except OSError as error:
        raise InputInvalid(f"{file} cannot be written: {error.strerror}") from error


def _suite(root: ET.Element, name: str, own: Sequence[ScenarioResult]) -> None:
    failed = sum(not one.run.passed for one in own)
    seconds = f"{sum(one.seconds for one in own):.3f}"
    suite = ET.SubElement(
        root, "testsuite", name=_xml(name), tests=str(len(own)), failures=str(failed), errors="0", time=seconds
    )
    for one in own:
        place = one.suite.text.place(("scenarios", one.suite.suite.scenarios.index(one.run.test)))
        case = ET.SubElement(
            suite,
            "testcase",
            name=_xml(one.run.test.name),
            classname=_xml(name),
            file=_xml(name),
            line=str(place.line),
            time=f"{one.seconds:.3f}",
        )
        if not one.run.passed:
            failure = ET.SubElement(case, "failure", type="difference", message=_xml(one.faults[0]))
            failure.text = _xml("\n".join([*one.faults, "", *one.timeline]))


def _coverage(root: ET.Element, coverage: Sequence[BlueprintCoverage]) -> None:
    missing = [one for one in coverage if not one.coverage.complete]
    suite = ET.SubElement(
        root, "testsuite", name="coverage", tests=str(len(coverage)), failures=str(len(missing)), errors="0", time="0"
    )
    for one in coverage:
        case = ET.SubElement(suite, "testcase", name=_xml(str(one.blueprint)), classname="coverage", time="0")
        if not one.coverage.complete:
            lines = [*_coverage_lines(one)]
            ET.SubElement(case, "failure", type="coverage", message=_xml(lines[0])).text = _xml("\n".join(lines[1:]))


def _xml(text: str) -> str:
    """Return a text without the characters that XML has no place for."""
    return _NOT_XML.sub("\ufffd", text)
