"""Parsing: read JSON as a blueprint within bounded time and memory, whatever was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from placet.definition.fields import SEMVER
from placet.definition.limits import excess, unfit
from placet.definition.model import ProcessDefinition, parse_definition
from placet.errors import BlueprintInvalid, Problem
from placet.json_pointer import value_at
from placet.proofs.findings import Finding, error
from placet.sentences import sentence, shortened

_EMPTY_APPROVERS = re.compile(r"^/process_steps/\d+/approvers$")
_FORM = re.compile(r"^/process_steps/\d+/form$")
_VARIABLE_TYPE = re.compile(r"^/variables/\d+(/.*)?/type$")


def read_shape(raw: object) -> tuple[ProcessDefinition | None, list[Finding]]:
    """Read JSON values as a blueprint; returns it (None where its shape is wrong) and its faults."""
    if (problem := excess(raw) or unfit(raw)) is not None:
        return None, [error("schema", problem.pointer, problem.message)]
    findings = [*_version(raw), *_names(raw)]
    mended = raw
    if any(f.code == "version" for f in findings) and isinstance(raw, dict):
        mended = {**raw, "version": "0.0.0"}  # so that one bad version does not hide everything else
    try:
        definition = parse_definition(mended)
    except BlueprintInvalid as refusal:
        told = {f.pointer for f in findings}
        twice = [f.pointer for f in findings if f.code == "duplicate_id"]
        for problem in _telling(raw, refusal.problems):
            listed = isinstance(value_at(raw, problem.pointer), list) or not problem.pointer
            if problem.pointer in told or (listed and any(t.startswith(f"{problem.pointer}/") for t in twice)):
                continue  # the same, at its exact place, is among the findings
            findings.append(_classified(raw, problem))
        return None, findings
    except RecursionError:
        return None, [error("schema", "", "the document is nested too deep; flatten it")]
    return definition, findings


def _version(raw: object) -> Iterator[Finding]:
    version = value_at(raw, "/version")
    if isinstance(version, str) and not SEMVER.match(version):
        message = sentence(
            'version {version!r} is not a semantic version; write for example "1.0.0"', version=version[:100]
        )
        yield error("version", "/version", message)


def _names(raw: object) -> Iterator[Finding]:
    """Find variables and stages that share a name, each at the place of the later one."""
    for part, key in (("variables", "name"), ("process_steps", "stage_name")):
        entries = value_at(raw, f"/{part}")
        seen: dict[str, int] = {}
        for index, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
            name = entry.get(key) if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            if name in seen:
                message = sentence(
                    "{name!r} is declared at /{part}/{seen} already; give each its own name",
                    name=name[:200],
                    part=part,
                    seen=seen[name],
                )
                yield error("duplicate_id", f"/{part}/{index}/{key}", message)
            else:
                seen[name] = index


def _telling(raw: object, problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """Leave out faults of a container that only repeat a fault inside it."""
    pointers = sorted({p.pointer for p in problems})
    for problem in problems:
        inside = problem.pointer + "/"
        container = isinstance(value_at(raw, problem.pointer), dict | list | tuple)
        if not (container and any(p.startswith(inside) for p in pointers)):
            yield problem


def _classified(raw: object, problem: Problem) -> Finding:
    code, message = "schema", problem.message
    value = value_at(raw, problem.pointer)
    if _EMPTY_APPROVERS.match(problem.pointer) and value in ([], ()):
        code = "empty_approvers"
        message = 'an empty list of approvers can never approve; name one, or leave "approvers" out for the manager'
    elif _FORM.match(problem.pointer):
        code = "form_schema"
    elif problem.pointer == "/version":
        code = "version"
    elif _VARIABLE_TYPE.match(problem.pointer):
        code = "types"
    elif problem.pointer.endswith("/quorum/percent") and isinstance(value, int | float) and value > 100:
        code, message = "impossible_quorum", "more than 100 percent can never approve; write at most 100"
    elif problem.pointer.endswith("/condition") and value == "":
        code, message = "syntax", 'an empty condition never holds; write one, such as amount > 5000, or "default": true'
    return error(code, problem.pointer, shortened(message, 1_000))
