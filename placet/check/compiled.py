"""Compilation: what the compiler of plans refuses, as findings with codes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from placet.blueprint import Blueprint
from placet.check.findings import Finding, error
from placet.check.shape import value_at
from placet.conditions.syntax import parse
from placet.errors import BlueprintInvalid, ConditionInvalid, PlacetError, Problem
from placet.plan import Plan, compile_plan

# Proofs do not depend on when a request begins; calendars are frozen for whole years, so any moment does.
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)

_CODES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^/graph_spec/edges/\d+/(from|to)$"), "dangling_id"),
    (re.compile(r"^/graph_spec/nodes/\d+/step$"), "dangling_id"),
    (re.compile(r"^/graph_spec/nodes/\d+/id$"), "duplicate_id"),
    (re.compile(r"^/graph_spec/nodes$"), "missing_trigger"),
    (re.compile(r"^/graph_spec/edges/\d+$"), "missing_condition"),
    (re.compile(r"^/graph_spec/edges/\d+/on$"), "wrong_edge"),
    (re.compile(r"^/settings/"), "calendar"),
    (re.compile(r"^/(owner|process_steps/\d+/(approvers|escalation|escalation_to)\b.*)$"), "dangling_id"),
)
_CONDITION = re.compile(r"^/graph_spec/edges/\d+/condition$")


def compiled(blueprint: Blueprint, raw: object) -> tuple[Plan | None, list[Finding]]:
    """Compile a blueprint; returns the plan (None where it is refused) and what the compiler says."""
    try:
        return compile_plan(blueprint, start=SOME_DAY), []
    except BlueprintInvalid as refusal:
        problems = refusal.problems or (Problem(pointer="", message=refusal.message),)
        return None, [_classified(raw, problem) for problem in problems]
    except (PlacetError, ValueError, ArithmeticError, RecursionError) as fault:
        # What cannot be written as canonical JSON, such as a form with numbers that no JSON reader keeps.
        return None, [error("schema", "", f"the blueprint cannot be compiled: {str(fault)[:300]}")]


def _classified(raw: object, problem: Problem) -> Finding:
    code = next((code for pattern, code in _CODES if pattern.match(problem.pointer)), "schema")
    if _CONDITION.match(problem.pointer):
        code = _condition_code(value_at(raw, problem.pointer), problem)
    return error(code, problem.pointer, problem.message)


def _condition_code(text: object, problem: Problem) -> str:
    if not problem.message.startswith("line "):
        return "wrong_edge"  # a sound condition, on an edge that carries none
    try:
        parse(text if isinstance(text, str) else "")
    except ConditionInvalid:
        return "syntax"
    return "types"
