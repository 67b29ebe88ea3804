"""The pages about security name tests and files that there are, and what they say of random values is so."""

from __future__ import annotations

import ast
import io
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "placet", "workflows", "activities", "worker", "engine_host", "storage", "simulation", "insight", "languages",
    "service", "api", "web", "cli",
)  # fmt: skip
ASVS = (ROOT / "docs" / "asvs.md").read_text()
THREATS = (ROOT / "docs" / "threat-model.md").read_text()
OPERATOR = "the operator's"
REFERENCE = re.compile(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`")


@cache
def defined(path: str) -> frozenset[str]:
    """Return the tests of a file; none where there is no such file."""
    file = ROOT / path
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE) if file.exists() else ())


def missing(text: str) -> list[str]:
    """Return what a text names of tests that is not there."""
    return [
        f"{path}::{test}" if test else path
        for path, test in REFERENCE.findall(text)
        if not (test in defined(path) if test else (ROOT / path).exists())
    ]


def threats() -> list[tuple[str, str, str]]:
    """Return kind, threat and what holds its mitigation, for each threat that is not open."""
    rows = re.findall(
        r"^\| ([STRIDE]) \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", THREATS.split("\n## Open\n")[0], re.MULTILINE
    )
    return [(kind, threat.strip(), held) for kind, threat, held in rows]


def test_every_threat_names_a_test_that_there_is() -> None:
    assert [threat for _, threat, held in threats() if not REFERENCE.search(held)] == []
    assert missing(THREATS) == []


def test_the_threats_are_of_every_kind() -> None:
    assert {kind for kind, _, _ in threats()} == set("STRIDE")
    rows = re.findall(r"^\| [STRIDE] \|", THREATS.split("\n## Open\n")[0], re.MULTILINE)
    assert len(rows) == len(threats()), "a row has another shape than kind, threat, mitigation and tests"


def test_the_table_of_threats_tells_a_test_that_is_gone() -> None:
    assert missing("`tests/unit/test_security_docs.py::test_that_is_gone`") != []
    assert missing("`tests/unit/test_gone.py`") != []


def requirements() -> list[tuple[str, str, str, str]]:
    """Return id, level, status and evidence of each row."""
    row = r"^\| v5\.0\.0-([\d.]+) \| (\d) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$"
    return re.findall(row, ASVS, re.MULTILINE)


def test_every_requirement_of_levels_1_and_2_has_its_row() -> None:
    lines = (ROOT / "tests" / "data" / "asvs-5.0.0.tsv").read_text().splitlines()
    asked = [tuple(line.split("\t")) for line in lines if not line.startswith("#")]
    assert len(asked) == 253
    assert [(ident, level) for ident, level, _, _ in requirements()] == asked


def test_what_is_met_has_evidence_that_is_there_and_everything_else_says_why() -> None:
    paths = re.compile(r"`([\w.-]+(?:/[\w.-]+)*)(?:::\w+)?`")
    for ident, _, status, said in requirements():
        assert status in {"met", "not applicable", "not met", "the operator's"}, ident
        there = [path for path in paths.findall(said) if (ROOT / path).exists()]
        assert there or status != "met", ident
        assert len(said) > 5, ident
        gone = [path for path in paths.findall(said) if "/" in path and not (ROOT / path).exists()]
        assert gone == [], ident
    assert missing(ASVS) == []


def test_the_counts_of_the_page_are_those_of_its_rows() -> None:
    counts = Counter(status for _, _, status, _ in requirements())
    for status, words in (("met", "are met"), ("not applicable", "are not applicable"), ("not met", "are not met")):
        assert f"{counts[status]} {words}" in ASVS
    assert f"{counts[OPERATOR]} are the operator's" in ASVS


SCRIPTS = sorted((ROOT / "web" / "static").glob("*.js"))
# `box[name] = …`, also with `??=` and others; no declaration such as `const [a, b] = …`, and no comparison.
SET_BY_NAME = re.compile(r"[\w)\]]\[[^\]]+\]\s*(?:\?\?|\|\||&&|[-+*/%])?=(?![=>])")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_sets_a_property_by_a_name_that_comes_from_a_value(script: Path) -> None:
    text = script.read_text()
    assert SET_BY_NAME.findall(text) == []
    assert not re.search(r"__proto__|\beval\(|new Function|Object\.(?:setPrototypeOf|defineProperty)", text)
    assert re.findall(r"Object\.assign\((?!document\.createElement\()", text) == []


def test_a_property_that_is_set_by_a_name_is_found() -> None:
    for wrong in ("typed[field.name] = 1", "a.b[c] ??= {}", "made()[name]=x"):
        assert SET_BY_NAME.search(wrong)
    for fine in ("const [a, b] = c;", "if (a[b] === c)", "one('[name=x]')", "a[b] => c", "a[0] == 1"):
        assert not SET_BY_NAME.search(fine)


def test_every_page_freezes_what_all_objects_inherit_from() -> None:
    assert "\nObject.freeze(Object.prototype);" in (ROOT / "web" / "static" / "placet.js").read_text()
    assert "'placet.js'|static" in (ROOT / "web" / "templates" / "base.html").read_text()


def test_scripts_keep_nothing_in_the_browsers_storage_but_what_is_typed() -> None:
    using = {
        path.name: re.findall(r"\b(?:local|session)Storage\.setItem\(([^,]+),", path.read_text()) for path in SCRIPTS
    }
    # What was typed into a form and not sent, which is encrypted, under which name that stood which was sent last, and
    # the steps that the editor can undo.
    kept = {"typed.js": ["SENT", "place"], "editor.js": ["stackKey"]}
    assert {name: keys for name, keys in using.items() if keys} == kept
    assert not any("indexedDB" in path.read_text() for path in SCRIPTS)


def test_a_line_break_in_what_is_logged_begins_no_line() -> None:
    written = io.StringIO()
    log = structlog.wrap_logger(structlog.PrintLogger(written))
    log.warning("call_failed", path="/x\n2026-01-01 [error] forged", reason="one\r\ntwo")
    assert len(written.getvalue().splitlines()) == 1


def random_values() -> list[tuple[str, int]]:
    """Return where the code draws secret random values, and of how many bytes; 0 where none is written there."""
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            constants = {
                target.id: node.value.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and re.fullmatch(
                    r"(?:secrets\.)?token_(?:bytes|hex|urlsafe)", ast.unparse(node.func)
                ):
                    (given,) = node.args or [ast.Constant(0)]
                    size = given.value if isinstance(given, ast.Constant) else constants.get(ast.unparse(given), 0)
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", int(size)))
    return found


def test_what_nobody_may_guess_has_at_least_128_random_bits() -> None:
    values = random_values()
    assert len(values) > 10
    assert [where for where, size in values if size and size < 16] == []


@pytest.mark.parametrize("package", ["api", "web", "service", "storage", "worker", "cli"])
def test_nothing_that_nobody_may_guess_is_drawn_from_numbers_that_can_be_foretold(package: str) -> None:
    allowed = {"service/forecasts"}  # samples, of a seed that is told
    drawn = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^\s*(?:import random|from random import)", path.read_text(), re.MULTILINE)
    ]
    assert [path for path in drawn if not any(path.startswith(room) for room in allowed)] == []
