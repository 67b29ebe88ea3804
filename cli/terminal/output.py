"""Output of commands: formatted text for people, one JSON document for scripts, and exit codes.

0 success, 1 a check failed (a broken audit chain, a blueprint with errors), 2 the command was called wrongly, 3 the
engine, the database or the engine's program is unavailable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from placet.errors import Busy, EngineMissing, PlacetError, Unavailable

EXIT_FAILED, EXIT_USAGE, EXIT_UNAVAILABLE = 1, 2, 3

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document on one line, for scripts."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def progress(message: str) -> None:
    """Print a progress message on standard error."""
    err.print(f"[dim]{escape(message)}[/dim]", soft_wrap=True)


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turn Placet's errors into a message and an exit code. Any other exception is a bug and shows its traceback."""
    try:
        yield
    except PlacetError as error:
        err.print(f"[red]{escape(error.message)}[/red]", soft_wrap=True)
        for problem in error.problems:
            err.print(f"  {problem.pointer or '/'}: {problem.message}", markup=False, soft_wrap=True)
        raise typer.Exit(
            EXIT_UNAVAILABLE if isinstance(error, Busy | Unavailable | EngineMissing) else EXIT_USAGE
        ) from error
