"""The log of a process, on standard error or in a file: text for people, or one JSON document a line for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from cli.terminal.log_file import LogFile
from placet.errors import InputInvalid

VARIABLE: Final = "PLACET_LOG_FORMAT"
_FORMATS = ("text", "json")


def write_logs(process: str, environ: Mapping[str, str] | None = None, *, file: LogFile | None = None) -> None:
    """Write the log of this process into a file, or on standard error; raises InputInvalid for an unknown format.

    Where a trace is recorded, its id and the span's are in the line (`trace_id`, `span_id`), as they are in the trace.
    A line about a call of the API has `call_id`, which the caller was told, and one about an activity `workflow_id`.
    """
    chosen = require_format(environ)
    into: Any = file  # it is written to as a stream
    factory = lambda *_: structlog.WriteLogger(into or sys.stderr)  # noqa: E731 - standard error may be replaced later
    if chosen == "text":
        if file is None:
            structlog.configure(logger_factory=factory)
            return
        plain = structlog.dev.ConsoleRenderer(colors=False)
        structlog.configure(logger_factory=factory, processors=[*structlog.get_config()["processors"][:-1], plain])
        _take_over(into, logging.Formatter("%(asctime)s [%(levelname)s] %(name)s: %(message)s"))
        return

    def name(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"process": process, **event}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name,
        _trace,
        _activity,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(logger_factory=factory, processors=[*shared, render])
    # What libraries and the rest of Placet say by the standard library, in the same form.
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    _take_over(into or sys.stderr, formatter)


def _take_over(stream: Any, formatter: logging.Formatter) -> None:
    """Have the standard library write to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.getLogger().handlers[:] = [handler]


def require_format(environ: Mapping[str, str] | None = None) -> str:
    """Return the format of logs, `text` or `json`; raises InputInvalid for another one."""
    chosen = (os.environ if environ is None else environ).get(VARIABLE, "text")
    if chosen not in _FORMATS:
        raise InputInvalid(f"{VARIABLE} is {chosen!r}; write text or json.")
    return chosen


class PassedOn:
    """Where a supervisor writes what its children log: a file or standard error, and both until `only_the_file`.

    So whoever has started it sees why it does not get ready.
    """

    def __init__(self, file: LogFile | None) -> None:
        self._file = file
        self._shown = True

    def __call__(self, name: str, line: str) -> None:
        """Write a line of a child."""
        text = f"{passed_on(name, line)}\n"
        if self._file is not None:
            self._file.write(text)
        if self._shown:
            sys.stderr.write(text)
            sys.stderr.flush()

    def only_the_file(self) -> None:
        """Write to the file alone from now on, where there is one."""
        self._shown = self._file is None

    def keep_in_time(self) -> None:
        """Look whether the day of the file is over."""
        if self._file is not None:
            self._file.keep_in_time()


def passed_on(name: str, line: str) -> str:
    """Return a line of a child's log as its supervisor writes it: with the child's name, and as JSON where asked."""
    if require_format() == "text":
        return f"{name:>8} | {line}"
    return line if line.startswith("{") else json.dumps({"process": name, "event": line}, ensure_ascii=False)


def _trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    traces = sys.modules.get("opentelemetry.trace")  # where it is not loaded, nothing is traced
    if traces is not None and (found := traces.get_current_span().get_span_context()).is_valid:
        return {**event, "trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"}
    return event


def _activity(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    activity = sys.modules.get("temporalio.activity")  # as above
    if activity is not None and activity.in_activity():
        info = activity.info()
        return {"workflow_id": info.workflow_id, "activity": info.activity_type, **event}
    return event
