"""What every command does alike: settings with its options over them, errors explained, and asynchronous work run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from cli.output import explained
from worker.settings import Settings, read_settings

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carry out a command's work and return its result; errors become a message and an exit code."""
    import uvloop

    with explained():
        return uvloop.run(work)


def settings_with(**changes: Any) -> Settings:
    """Return this installation's settings, with what was given as an option in place of them."""
    with explained():
        return read_settings().model_copy(update={k: v for k, v in changes.items() if v is not None})
