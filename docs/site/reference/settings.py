"""The settings: names, types and defaults from the code that reads them, and what docs/operations.md says of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings

from activities.notifications.settings import NotifySettings
from activities.secret_files import secrets_among
from docs.site.reference.json_schemas import kind_of
from docs.site.reference.markdown import code, table
from worker.settings import Settings

CLASSES: Final[dict[str, type[BaseSettings]]] = {"Installation": Settings, "Notifications": NotifySettings}
_OPERATIONS = Path(__file__).parents[2] / "operations.md"
_ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| (.*?) \| (.*) \|$", re.MULTILINE)
_NAMES = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", re.MULTILINE)

_INTRO: Final = (
    "Every setting is an environment variable. The API, the workers and every `placet` command of one "
    "installation read the same ones. Names, types and defaults below are those of the code; "
    "[Operations](../operations.md#settings) explains what belongs together, and what Placet refuses to start "
    "with."
)


def page() -> str:
    """Return the page of settings."""
    parts = [
        "# Settings",
        _INTRO,
    ]
    told = meanings()
    for title, settings in CLASSES.items():
        parts += [f"## {title}", _of(settings, told)]
    others = sorted(set(told) - {f"PLACET_{name.upper()}" for each in CLASSES.values() for name in each.model_fields})
    parts += [
        "## Engine, actions and telemetry",
        table(
            ["variable", "default", "meaning"],
            [[code(name), default, meaning] for name, (default, meaning) in sorted(told.items()) if name in others],
        ),
    ]
    return "\n\n".join(parts)


def meanings() -> dict[str, tuple[str, str]]:
    """Return what docs/operations.md says of each variable: its default in words, and its meaning."""
    found: dict[str, tuple[str, str]] = {}
    for names, default, meaning in _ROW.findall(_OPERATIONS.read_text()):
        variables = re.findall(r"`([A-Z_]+)`", names)
        defaults = default.split(", ") if len(default.split(", ")) == len(variables) else [default] * len(variables)
        for variable, one in zip(variables, defaults, strict=True):
            found.setdefault(variable, (one, _moved(meaning)))
    return found


def names() -> set[str]:
    """Return every variable that docs/operations.md describes, also those that name a file with a secret."""
    return {name for listed in _NAMES.findall(_OPERATIONS.read_text()) for name in re.findall(r"`([A-Z_]+)`", listed)}


def _of(settings: type[BaseSettings], told: dict[str, tuple[str, str]]) -> str:
    shapes = settings.model_json_schema(mode="validation")
    secrets = secrets_among(settings)
    rows = []
    for name in settings.model_fields:
        variable = f"PLACET_{name.upper()}"
        shape = shapes["properties"][name]
        in_words, meaning = told[variable]
        if name in secrets:
            meaning = f"{meaning}; {code(f'{variable}_FILE')} may name a file that holds it"
        rows.append([code(variable), kind_of(shape, shapes.get("$defs", {})), _default(shape, in_words), meaning])
    return table(["variable", "type", "default", "meaning"], rows)


def _default(shape: dict[str, Any], in_words: str) -> str:
    value = shape.get("default")
    if value is None or value in ("", [], {}):
        return in_words
    return code(str(value).lower() if isinstance(value, bool) else value)


def _moved(meaning: str) -> str:
    """Return the text with its links seen from the folder of the reference."""
    moved = re.sub(r"\]\((?=#)", "](operations.md", meaning)
    return re.sub(r"\]\((?![a-z]+:)", "](../", moved)
