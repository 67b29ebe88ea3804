"""What was stored in an older form says everything after its steps, in the sense that it had."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from activities.messages import DirectoryResult, TokenVerdict
from placet.definition.formats import CURRENT, RULES, STORED
from placet.definition.formats.upgrades import upgraded_plan, upgraded_start, upgraded_state
from placet.engine import machine
from placet.engine.content import content_digest
from placet.engine.events import Actor, Claim, Decide, DirectoryRead
from placet.engine.state import State
from placet.plan.plan import Plan
from tests.histories import FOLDER
from tests.unit.core import PLANS, START, STATES, blueprint, office, plan_of
from tests.unit.test_converter import recorded
from workflows.interface import Start

DATA = Path(__file__).parents[1] / "data"
STARTS = TypeAdapter(Start)
FILES = sorted(FOLDER.glob("*/*.json"))
FORMS = {"0.1.0": 1, "0.1.0-sealed": 2}


def starts(file: Path) -> list[Any]:
    return [json.loads(payload.data) for kind, payload in recorded(file) if kind is Start]


def passed_on(form: int) -> Any:
    """Return what a run of that form passed on, as it was written then: a plan and a state with a task in a queue."""
    return json.loads((DATA / f"passed-on-in-format-{form}.json").read_text())


def start_of(raw: Any) -> Any:
    """Return what the run that it was passed on to starts with."""
    state = raw["state"]
    names = ("request_id", "requester", "title", "input", "directory", "directory_at", "secret", "titled")
    return {"template_id": "t", "opening": {name: state[name] for name in names if name in state}, **raw}


def unsaid(raw: Any, written: Any, place: str = "") -> list[str]:
    """Return what a value holds, beside what is empty, that was not said in the JSON that it was read from."""
    if isinstance(written, dict) and isinstance(raw, dict):
        missing = [f"{place}/{name}" for name in written if name not in raw and written[name] not in (None, [], {})]
        inner = (unsaid(raw[name], written[name], f"{place}/{name}") for name in written if name in raw)
        return [*missing, *(found for places in inner for found in places)]
    if isinstance(written, list) and isinstance(raw, list):
        return [p for n, (a, b) in enumerate(zip(raw, written, strict=True)) for p in unsaid(a, b, f"{place}/{n}")]
    return []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_recorded_plan_says_everything_after_its_steps(file: Path) -> None:
    for raw in starts(file):
        plan = upgraded_plan(raw["plan"])
        written = PLANS.dump_python(PLANS.validate_python(plan), mode="json", by_alias=True)
        assert unsaid(plan | {"children": {}}, written | {"children": {}}) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_recorded_request_goes_on_by_the_rules_that_it_began_under(file: Path) -> None:
    for raw in starts(file):
        read = STARTS.validate_json(json.dumps(raw))
        if FORMS[file.parent.name] == 1:
            assert (read.plan.format, read.plan.rules, read.plan.on_change) == (1, 1, "stage")
            assert (read.opening.secret, read.opening.titled) == ("", True)
        else:
            began = raw["plan"]
            assert began["rules"] >= 2
            assert (read.plan.format, read.plan.rules, read.plan.on_change) == (2, began["rules"], began["on_change"])
            assert read.opening.secret == raw["opening"]["secret"]
        assert all(child.plan.stored_format == STORED for child in read.plan.children.values())
        assert read.timer_lead == raw.get("timer_lead")  # without one, timers are armed as they were then


@pytest.mark.parametrize("form", [1, 2])
def test_a_state_that_was_passed_on_says_everything_after_its_steps(form: int) -> None:
    raw = upgraded_start(start_of(passed_on(form)))["state"]
    written = STATES.dump_python(STATES.validate_python(raw), mode="json", by_alias=True)
    assert [place for place in unsaid(raw, written) if not place.startswith("/directory/")] == []


def test_a_state_of_form_1_has_its_content_and_entries_without_it() -> None:
    read = STARTS.validate_json(json.dumps(start_of(passed_on(1))))
    state = read.state
    assert (state.format, state.rules, state.secret, state.revision, state.material) == (1, 1, "", 1, 1)
    assert (state.given, state.titled, state.revision_facts) == ({"amount": 7}, True, {})
    assert state.content_digest == content_digest(read.plan, state.title, {"amount": 7})
    assert {task.content_digest for task in state.tasks} == {state.content_digest}


@pytest.mark.parametrize("form", [1, 2])
def test_a_state_of_an_earlier_form_counts_what_it_holds(form: int) -> None:
    raw = passed_on(form)
    state = STATES.validate_python(upgraded_state(raw["state"]))
    assert (state.opened, state.asked) == (len(raw["state"]["tasks"]), {})
    assert state.directory_given == raw["state"]["directory_given"]
    assert [stage.intended for stage in state.stages] == [len(stage["seats"]) for stage in raw["state"]["stages"]]


@pytest.mark.parametrize("form", [1, 2])
def test_a_request_that_was_passed_on_goes_on_to_its_end(form: int) -> None:
    read = STARTS.validate_json(json.dumps(start_of(passed_on(form))))
    state = machine.apply(read.plan, read.state, DirectoryRead(directory=office(), at=START), START).state
    [task] = state.open_tasks
    for event in (
        Claim(by=Actor(person="ann"), task_id=task.id),
        Decide(by=Actor(person="ann"), task_id=task.id, decision="approve"),
    ):
        state = machine.apply(read.plan, state, event, START).state
    assert (state.outcome, state.format) == ("approved", form)


@pytest.mark.parametrize("name", ["format", "rules", "on_change"])
def test_a_plan_of_the_current_form_has_to_say_what_it_follows(name: str) -> None:
    raw = PLANS.dump_python(plan_of(blueprint({"approvers": ["user:mo"]})), mode="json", by_alias=True)
    assert (raw["format"], raw["rules"], raw["stored_format"]) == (CURRENT, RULES, STORED)
    with pytest.raises(ValidationError, match=name):
        PLANS.validate_python({key: value for key, value in raw.items() if key != name})


def test_nothing_but_the_named_rules_compares_the_numbers_that_a_request_began_under() -> None:
    compared = re.compile(r"(state|plan)\.(rules|format) *(==|!=|<|>)")
    root = Path(__file__).parents[2]
    files = [file for room in ("placet", "workflows", "activities") for file in (root / room).rglob("*.py")]
    assert len(files) > 50
    assert [file.name for file in files if compared.search(file.read_text())] == []


def test_steps_leave_what_they_are_given_as_it_is_and_do_nothing_twice() -> None:
    for upgraded, part in ((upgraded_plan, "plan"), (upgraded_state, "state")):
        raw = passed_on(1)[part]
        before = deepcopy(raw)
        current = upgraded(raw)
        assert raw == before
        assert upgraded(current) is current


@pytest.mark.parametrize("raw", [None, 1, "text", [], {"plan": 1}])
def test_what_is_no_value_of_the_kind_is_refused_by_its_type(raw: Any) -> None:
    for kind in (Plan, State, Start):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_json(json.dumps(raw))


def test_a_number_of_a_form_that_is_not_known_is_refused() -> None:
    for number in (STORED + 1, 0, "3", None):
        with pytest.raises(ValidationError, match="stored_format"):
            PLANS.validate_json(json.dumps(passed_on(2)["plan"] | {"stored_format": number}))


@pytest.mark.parametrize("file", [f for f in FILES if FORMS[f.parent.name] == 1], ids=lambda file: file.stem)
def test_an_answer_of_form_1_says_that_its_time_is_not_told(file: Path) -> None:
    for kind, payload in recorded(file):
        if kind in {DirectoryResult, TokenVerdict}:
            told = json.loads(payload.data).get("at") is not None
            assert (TypeAdapter(kind).validate_json(payload.data).at is not None) is told
    for kind in (DirectoryResult, TokenVerdict):
        with pytest.raises(ValidationError, match=r"directory|person"):
            TypeAdapter(kind).validate_python({})  # what else it is asked for, nothing says in its place
