"""Run what a command does with the database, the engine or the API: on an event loop, with its log where it belongs."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

from cli.output import explained

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carry out a command's work and return its result; errors become a message and an exit code.

    What is logged meanwhile goes to standard error: standard output belongs to the answer, which scripts read.
    """
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    with explained():
        return uvloop.run(work)
