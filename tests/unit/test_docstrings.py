"""A docstring says each thing once: where two texts of it were merged, one of them would remain as residue."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS = [*LINTED["root_packages"], "tests"]
SHORT, SHORTEST = 40, 25  # characters: short sentences share many letters by chance


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Find the line and the text of each docstring, those of fields included."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text)), lineno=line):
                yield line, text


def said_twice(text: str) -> list[tuple[str, str]]:
    """Return the paragraphs or sentences of a docstring that say nearly the same (rows of tables may be alike)."""
    text = re.sub(r"^\s*\|.*$", "", text, flags=re.MULTILINE)
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    sentences = [sentence for part in paragraphs for sentence in re.split(r"(?<=[.;!?:])\s+", part)]
    pairs = itertools.chain(itertools.combinations(paragraphs, 2), itertools.combinations(sentences, 2))
    return list(dict.fromkeys(pair for pair in pairs if nearly_same(*pair)))


def nearly_same(one: str, other: str) -> bool:
    length = min(len(one), len(other))
    if length < SHORTEST:
        return False
    ratio = 0.65 if length > SHORT else 0.8
    match = SequenceMatcher(None, one, other, autojunk=False)
    return match.real_quick_ratio() > ratio and match.quick_ratio() > ratio and match.ratio() > ratio


@pytest.mark.parametrize("room", ROOMS)
def test_no_docstring_says_a_thing_twice(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}": pairs
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, text in docstrings(path.read_text())
        if (pairs := said_twice(text))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        (
            "Migrate.\n\n`seq` guards against moving what has changed since it was read.\n\n"
            "`seq` guards against moving what is no longer as it was read."
        ),
        "Fill.\n\n`why` says who is missing. A seat stays vacant.\n\n`why` says who is missing; nobody replaces them.",
        (
            "Where it goes again from its first node, a person may give a variable that they gave at first. "
            "Where it goes again from its first node, a variable that a person gave at first is theirs to give again."
        ),
    ],
)
def test_what_is_said_twice_is_found(text: str) -> None:
    assert said_twice(text)


def test_what_is_only_alike_in_short_sentences_is_not_found() -> None:
    assert not said_twice("Store a draft.\n\nThe same draft again gives the same draft.")
