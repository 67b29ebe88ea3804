"""The glossary is in order and true: every name in code that it tells is declared where it says."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    part = GLOSSARY.split(heading, 1)[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_terms_are_in_order_and_told_once() -> None:
    terms = [row[0].lower() for row in rows("# Glossary")]
    assert len(terms) > 40
    assert terms == sorted(set(terms))


def test_a_name_in_stored_json_is_told_once() -> None:
    told = [tuple(row[:2]) for row in rows("## Names in stored JSON that differ")]
    assert len(told) > 5
    assert len(told) == len(set(told))


def test_fields_that_are_stored_under_another_name_are_those_in_the_code() -> None:
    pattern = r"(\w+): Annotated\[[^\n]*stored_as\(\"(\w+)\"\)"
    sources = [p.read_text() for room in ("placet", "workflows", "activities") for p in (ROOT / room).rglob("*.py")]
    declared = {(code, stored) for source in sources for code, stored in re.findall(pattern, source)}
    told = {
        pair
        for row in rows("## Names in stored JSON that differ")
        for pair in zip(re.findall(r"`(\w+)`", row[0]), re.findall(r"`(\w+)`", row[1]), strict=False)
    }
    assert len(declared) >= 7
    assert declared <= told
