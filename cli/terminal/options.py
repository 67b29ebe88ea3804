"""Options that several commands share, and the settings with options applied to them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.terminal.output import errors_as_messages
from worker.settings import Settings, read_settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def settings_with(**changes: Any) -> Settings:
    """Return this installation's settings; options that were given replace them."""
    with errors_as_messages():
        return read_settings().model_copy(update={k: v for k, v in changes.items() if v is not None})
