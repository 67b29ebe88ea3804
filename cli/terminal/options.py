"""Options that several commands share, and the settings with options applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.terminal.output import errors_as_messages
from placet.errors import InputInvalid
from worker.settings import Settings, read_settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def settings_with(**changes: Any) -> Settings:
    """Return this installation's settings; options that were given replace them."""
    with errors_as_messages():
        return read_settings().model_copy(update={k: v for k, v in changes.items() if v is not None})


def several(only: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return what `--only` names, given several times or separated by commas; raises InputInvalid for the unknown."""
    named = [name.strip() for each in only for name in each.split(",")]
    for name in named:
        if name not in known:
            raise InputInvalid(f"--only {name!r} is not known; give one or more of {', '.join(known)}.")
    return named
