"""The walks in docs/architecture.md lead along the imports that there are, and never back up."""

from __future__ import annotations

import itertools
import re
import tomllib
from functools import lru_cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
WALKS = (ROOT / "docs" / "architecture.md").read_text().split("## Four walks through the code", 1)[1]
LINTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
# What the engine calls is told by name, and imported where it is registered.
CALLED_BY_THE_ENGINE = {"activities.audit"}


@lru_cache(1)
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*LINTED["root_packages"])


def module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def floor(name: str) -> int:
    """Return how high a module's room stands: 0 is the core."""
    layers = LINTED["contracts"][0]["layers"][::-1]
    (found,) = [n for n, layer in enumerate(layers) if name.split(".", maxsplit=1)[0] in re.split(r"\s*\|\s*", layer)]
    return found


def walks() -> dict[str, list[list[str]]]:
    """Return the modules of each walk, in its parts."""
    found: dict[str, list[list[str]]] = {}
    for section in WALKS.split("\n### ")[1:]:
        title, _, text = section.partition("\n")
        parts = re.split(r"\n\n(?!- )", text)
        legs = [[module(path) for path in re.findall(r"^- `([\w/]+\.py)`", part, re.MULTILINE)] for part in parts]
        found[title] = [leg for leg in legs if leg]
    return found


def test_there_are_four_walks() -> None:
    assert list(walks()) == ["A decision", "A notification", "A blueprint", "A simulation"]


@pytest.mark.parametrize("title", walks())
def test_each_file_of_a_walk_is_used_by_one_that_was_named_before(title: str) -> None:
    named: list[str] = []
    for leg in walks()[title]:
        for step in leg:
            users = imports().find_modules_that_directly_import(step)
            assert not named or step in named or step in CALLED_BY_THE_ENGINE or users & set(named), step
            named.append(step)


@pytest.mark.parametrize("title", walks())
def test_no_step_of_a_walk_leads_to_a_room_above_those_named_before(title: str) -> None:
    for number, leg in enumerate(walks()[title]):
        assert number == 0 or leg[0] in walks()[title][0], "a second part begins at a file of the first"
        lowest = {step: floor(step) for step in leg}
        for before, step in itertools.pairwise(leg):
            assert lowest[step] <= lowest[before] or step in CALLED_BY_THE_ENGINE, (before, step)
