"""The log as JSON: one document a line, with the process, the level, and the trace where there is one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from cli.terminal.logs import VARIABLE, passed_on, write_logs
from placet.errors import InputInvalid


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()


def test_a_line_is_one_document_with_what_belongs_to_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("worker", {VARIABLE: "json"})
    structlog.get_logger("a").warning("will_try_again", step="log_job", reason="two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    expected = {"event": "will_try_again", "level": "warning", "process": "worker", "step": "log_job"}
    assert found == expected | {"reason": "two\nlines"}


def test_the_standard_librarys_lines_have_the_same_form_and_an_exception_is_in_one_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_logs("notifier", {VARIABLE: "json"})
    error = ValueError("what went wrong")
    logging.getLogger("activities.notifications").warning("%s did not take a message", "mail", exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"]) == ("mail did not take a message", "warning")
    assert found["process"] == "notifier"
    assert "what went wrong" in found["exception"]


def test_a_line_inside_a_trace_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("api", {VARIABLE: "json"})
    with TracerProvider().get_tracer("test").start_as_current_span("a call") as span:
        structlog.get_logger("a").info("inside")
        number = span.get_span_context().trace_id
    structlog.get_logger("a").info("outside")
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert inside["trace_id"] == f"{number:032x}"
    assert "trace_id" not in outside


def test_the_supervisor_passes_on_lines_in_the_chosen_format(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed_on("api", "it runs") == "     api | it runs"
    monkeypatch.setenv(VARIABLE, "json")
    assert json.loads(passed_on("api", "Traceback")) == {"process": "api", "event": "Traceback"}
    assert passed_on("api", '{"event": "x"}') == '{"event": "x"}'


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputInvalid, match="write text or json"):
        write_logs("api", {VARIABLE: "xml"})
