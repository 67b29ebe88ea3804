"""Shape: whether the JSON is a blueprint at all, read within bounded time and memory whatever was sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from placet.blueprint import SEMVER, Blueprint, parse_blueprint
from placet.check.findings import Finding, error
from placet.errors import BlueprintInvalid, Problem
from placet.pointer import parts_of, pointer_to

MAX_DEPTH = 64  # of lists and objects inside each other, forms included
MAX_VALUES = 100_000  # values in the whole document
MAX_TEXT = 2_000_000  # characters in the whole document, names included
MAX_CONDITIONS = 200_000  # characters of all conditions together
MAX_WHOLE = 2**53 - 1  # canonical JSON (RFC 8785) knows no larger whole number

_SHOWN_PARTS = 8  # of the place of something that is refused unread

_EMPTY_APPROVERS = re.compile(r"^/process_steps/\d+/approvers$")
_FORM = re.compile(r"^/process_steps/\d+/form$")
_VARIABLE_TYPE = re.compile(r"^/variables/\d+(/.*)?/type$")


def read_shape(raw: object) -> tuple[Blueprint | None, list[Finding]]:
    """Read JSON values as a blueprint; returns it (None where its shape is wrong) and what is wrong with it."""
    findings = list(_limits(raw))
    if findings:
        return None, findings
    findings = [*_version(raw), *_names(raw)]
    mended = raw
    if any(f.code == "version" for f in findings) and isinstance(raw, dict):
        mended = {**raw, "version": "0.0.0"}  # so that one bad version does not hide everything else
    try:
        blueprint = parse_blueprint(mended)
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
    return blueprint, findings


def value_at(raw: object, pointer: str) -> Any:
    """Return what a JSON Pointer points at, None where there is nothing."""
    value: Any = raw
    for key in parts_of(pointer):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _limits(raw: object) -> Iterator[Finding]:
    """Refuse what no blueprint needs, before anything recursive looks at it; stops at the first such thing."""
    pending: list[tuple[object, str, int]] = [(raw, "", 0)]
    values = text = 0
    while pending:
        value, pointer, depth = pending.pop()
        values += 1
        fault = None
        if values > MAX_VALUES:
            pointer, fault = "", f"the document holds more than {MAX_VALUES} values; split the process"
        elif depth > MAX_DEPTH:
            fault = f"the document is nested deeper than {MAX_DEPTH} levels; flatten it"
        elif isinstance(value, str):
            text += len(value)
            fault = _text_fault(value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                fault = fault or (_text_fault(key) if isinstance(key, str) else "names have to be strings")
                text += len(key) if isinstance(key, str) else 0
                if fault is None:
                    pending.append((inner, pointer_to(pointer, key), depth + 1))
        elif isinstance(value, list | tuple):
            pending += [(inner, f"{pointer}/{index}", depth + 1) for index, inner in enumerate(value)]
        else:
            fault = _number_fault(value)
        if text > MAX_TEXT:
            pointer, fault = "", f"the document holds more than {MAX_TEXT} characters; split the process"
        if len(pending) > MAX_VALUES:
            pointer, fault = "", f"the document holds more than {MAX_VALUES} values; split the process"
        if fault is not None:
            yield error("schema", "/".join(pointer.split("/")[:_SHOWN_PARTS])[:1_000], fault)
            return
    yield from _condition_limit(raw)


def _text_fault(text: str) -> str | None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "half of a surrogate pair is no text; remove it"
    return None


def _number_fault(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        too_large = value.bit_length() > 53 or abs(value) > MAX_WHOLE
        return "whole numbers beyond 2^53 are not exact in JSON; write a smaller one" if too_large else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "NaN and Infinity are no JSON numbers; write a plain number"
    return f"a value of Python's type {type(value).__name__} is no JSON value"


def _condition_limit(raw: object) -> Iterator[Finding]:
    for part in ("edges", "nodes"):
        if _expressed(value_at(raw, f"/graph_spec/{part}")) > MAX_CONDITIONS:
            message = f"the conditions have more than {MAX_CONDITIONS} characters together; split the process"
            yield error("schema", f"/graph_spec/{part}", message)


def _expressed(part: object) -> int:
    """Count the characters of all expressions: a table's inputs count once for each rule, as they are put there."""
    total = 0
    pending: list[tuple[object, bool]] = [(part, False)]
    while pending:
        value, counts = pending.pop()
        if isinstance(value, str):
            total += len(value) if counts else 0
        elif isinstance(value, dict):
            rules, inputs = value.get("rules"), value.get("inputs")
            if isinstance(rules, list) and isinstance(inputs, list):
                total += len(rules) * sum(len(text) for text in inputs if isinstance(text, str))
            pending += [(inner, key in {"condition", "expr", "until", "when"}) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            pending += [(inner, counts) for inner in value]
    return total


def _version(raw: object) -> Iterator[Finding]:
    version = value_at(raw, "/version")
    if isinstance(version, str) and not SEMVER.match(version):
        message = f'version {version[:100]!r} is not a semantic version; write for example "1.0.0"'
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
                message = f"{name[:200]!r} is declared at /{part}/{seen[name]} already; give each its own name"
                yield error("duplicate_id", f"/{part}/{index}/{key}", message)
            else:
                seen[name] = index


def _telling(raw: object, problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """Leave out what is said of a container only because something inside it is wrong."""
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
    return error(code, problem.pointer, message[:1_000])
