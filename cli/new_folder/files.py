"""The files of a new folder: a process that works, its people, its scenarios, and what runs them in CI."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from placet.shipped import shipped

_HERE = Path(__file__).parent


class Example(StrEnum):
    """The processes with which a folder can begin."""

    EXPENSE = "expense"
    PURCHASE_ORDER = "purchase-order"
    AGENT_ACTION = "agent-action"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    blueprint: Path
    scenarios: Path
    about: str


def _source_of(example: Example) -> _Source:
    gallery = shipped("blueprints")
    if example is Example.AGENT_ACTION:
        folder = _HERE / "agent_action"
        return _Source(
            blueprint=folder / "agent-action.json",
            scenarios=folder / "agent-action.test.yaml",
            about="a payment that an agent asks for: a person approves exactly this one, and it is claimed once",
        )
    about = {
        Example.EXPENSE: "an expense: the manager decides, and above 5,000 the CFO as well",
        Example.PURCHASE_ORDER: "a purchase order: its size decides between the manager alone, a queue of procurement, "
        "and procurement beside the CFO",
    }
    return _Source(
        blueprint=gallery / f"{example}.json",
        scenarios=gallery / "tests" / f"{example}.test.yaml",
        about=about[example],
    )


def files_of(example: Example) -> dict[str, str]:
    """Return the files of a new folder: the text of each, by its path in the folder."""
    source = _source_of(example)
    # In the gallery the scenarios are in a folder beside the blueprints; here both have folders of their own.
    scenarios = source.scenarios.read_text(encoding="utf-8").replace(
        f"blueprint: ../{example}.json", f"blueprint: ../blueprints/{example}.json"
    )
    return {
        "README.md": _filled("README.md", example=example, about=source.about),
        f"blueprints/{example}.json": source.blueprint.read_text(encoding="utf-8"),
        "people.json": (shipped("blueprints") / "people.json").read_text(encoding="utf-8"),
        f"tests/{example}.test.yaml": scenarios,
        ".github/workflows/blueprints.yml": _filled("workflow.yml", version=version("placet")),
        ".gitignore": _filled("gitignore"),
    }


def _filled(name: str, **values: str) -> str:
    """Return a template with its `{{name}}` replaced."""
    text = (_HERE / "templates" / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text
