"""The script of a simulation as rows of a form: who does what, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from placet.definition.model import ProcessDefinition
from placet.errors import Problem
from simulation.scenario.script import OUTSIDE
from web.forms.fields import Field, written
from web.forms.reading import Entries
from web.languages import Wording
from web.views.words import DECISIONS, marked

ACTS: Final = {
    "decide": marked("decides"),
    "wait": marked("leaves it alone"),
    "undo": marked("undoes the decision"),
    "add_approver": marked("adds an approver"),
    "delegate": marked("delegates to"),
    "reassign": marked("reassigns to"),
    "ask": marked("asks the requester"),
    "answer_question": marked("answers the question"),
    "comment": marked("comments"),
    "remind": marked("reminds, as the requester"),
    "claim": marked("takes it out of the queue"),
    "release": marked("puts it back into the queue"),
    "extend": marked("extends the deadline"),
    "resubmit": marked("sends it in again"),
    "withdraw": marked("withdraws the request"),
    "cancel": marked("cancels the request"),
    "answer": marked("the action succeeds"),
    "fail": marked("the action fails"),
    "happen": marked("the event happens"),
}
_SPARE = 2  # empty rows that a form offers
MOST_ROWS = 50
_NEEDS_PERSON = {"delegate", "reassign", "add_approver"}
_NEEDS_WORDS = {"comment", "ask", "answer_question", "add_approver"}
_OF_REQUEST = {"withdraw", "cancel", "comment", "remind", "extend"}
"""What is timed from the start of the request, and not from the opening of a task."""


def script_field(
    definition: ProcessDefinition, lines: Sequence[Mapping[str, Any]], wording: Wording, *, offered: bool = True
) -> Field:
    """Return the field of a script with these lines, and with empty rows after them."""
    say = wording.say
    shown = list(lines)[:MOST_ROWS]
    spare: list[Mapping[str, Any]] = [{}] * (_SPARE if offered else 0)
    return Field(
        name="script",
        pointer="/script",
        label=say("What people do"),
        widget="rows",
        help=say("Each line is one act. A stage that no line names is approved. Empty lines do not count."),
        rows=tuple(_row(number, line, definition, wording) for number, line in enumerate([*shown, *spare])),
    )


def _row(number: int, line: Mapping[str, Any], definition: ProcessDefinition, wording: Wording) -> tuple[Field, ...]:
    say = wording.say
    hours = line.get("after_hours", line.get("at_hours", ""))

    def one(name: str, label: str, **more: Any) -> Field:
        return Field(
            name=f"script.{number}.{name}", pointer=f"/script/{number}/{name}", label=label, **{"widget": "text"} | more
        )

    def text(name: str) -> str:
        value = line.get(name)
        return "" if value is None else str(value)

    acts = tuple((name, say(word)) for name, word in ACTS.items())
    places = [step.stage_name for step in definition.process_steps]
    places += [one for one in _outside(definition) if one not in places]
    return (
        one("on", say("Stage"), widget="choice", value=text("on"), options=tuple((name, name) for name in places)),
        one("do", say("Act"), widget="choice", value=text("do") or ("decide" if line else ""), options=acts),
        one(
            "decision",
            say("Decision"),
            widget="choice",
            value=text("decision"),
            options=tuple((name, say(word)) for name, word in DECISIONS.items()),
        ),
        one("by", say("Who (id)"), value=text("by"), longest=300),
        one(
            "after_hours", say("After"), widget="number", value=written(hours, wording.decimal_sign), unit=say("hours")
        ),
        one("to", say("To whom (id)"), value=text("to"), longest=300),
        one("comment", say("Says"), value=text("comment"), longest=4000),
    )


def _outside(definition: ProcessDefinition) -> list[str]:
    """Return the names of what a script may give results for: the nodes that run actions or wait for events."""
    graph = definition.graph_spec
    return [] if graph is None else [node.id for node in graph.nodes if node.type in {"action", "wait"}]


def read_script(entries: Entries) -> list[dict[str, Any]]:
    """Return the lines of a script as a form sent them; empty rows are left out."""
    found = []
    for number in entries.rows("script")[:MOST_ROWS]:
        sent = {name: entries.text(f"script.{number}.{name}") for name in ("on", "do", "by", "decision", "to")}
        line: dict[str, Any] = {name: value for name, value in sent.items() if value}
        comment = entries.text(f"script.{number}.comment")
        hours = entries.text(f"script.{number}.after_hours")
        if not line and not comment and not hours:
            continue
        line.setdefault("do", "decide")
        if line["do"] != "decide":
            line.pop("decision", None)
        if comment:
            line["comment"] = comment
        if hours and line["do"] == "extend":
            line["hours"] = number_of(hours, entries)
        elif hours:
            line["at_hours" if line["do"] in _OF_REQUEST else "after_hours"] = number_of(hours, entries)
        found.append(line)
    return found


def faults_of_lines(lines: Sequence[Mapping[str, Any]], wording: Wording) -> list[Problem]:
    """Return what the lines of a form leave out, each at its field; everything else is judged as for programs."""
    say = wording.say
    found = []
    for number, line in enumerate(lines):
        act = line["do"]
        needed = {
            "decision": (act == "decide", say("Choose a decision.")),
            "to": (act in _NEEDS_PERSON, say("Name the person by their id.")),
            "by": (act == "comment", say("Name the person by their id.")),
            "comment": (act in _NEEDS_WORDS, say("Write what they say.")),
            "after_hours": (act == "extend" and "hours" not in line, say("Write for how many hours.")),
            "on": (act in OUTSIDE, say("Choose the action or the event.")),
        }
        found += [
            Problem(pointer=f"/script/{number}/{name}", message=message)
            for name, (is_needed, message) in needed.items()
            if is_needed and name not in line
        ]
    return found


def number_of(text: str, entries: Entries) -> Any:
    """Return what was written into a field for a number; the text where it is none, None where it is empty."""
    read = entries.number(text)
    try:
        number = float(read)
    except ValueError:
        return read or None
    return int(number) if number.is_integer() else number


def script_of(branch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the script that leads along a branch: rejections, since all else is approved."""
    return [{"on": stage, "do": "decide", "decision": "reject", "comment": "…"} for stage in rejected_on(branch)]


def rejected_on(branch: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the stages that reject on a branch, each once."""
    return tuple(dict.fromkeys(one["stage"] for one in branch["outcomes"] if one["result"] == "rejected"))
