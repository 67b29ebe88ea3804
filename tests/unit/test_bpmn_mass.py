"""Whatever a file holds, nothing crashes, and every element of it is told once: mapped, assumed or lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.definition.bpmn import Imported, import_bpmn, import_dmn
from placet.definition.model import parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.compiler import compile_plan
from placet.proofs import check
from tests.unit.bpmn_files import ACTIONS, NOW, bpmn, end, flows, form, gateway, task
from tests.unit.test_dmn import decision, dmn, table

FILES = sorted((Path(__file__).parents[1] / "data" / "bpmn").glob("*.bpmn"))
SPACES = {"{http://www.omg.org/spec/BPMN/20100524/MODEL", "{https://www.omg.org/spec/DMN/20191111/MODEL/"}


def elements(content: bytes) -> Counter[tuple[str, str]]:
    """Count the elements with an id, and the sequence flows, in a way of its own: name and id of each."""
    found: Counter[tuple[str, str]] = Counter()
    for element in fromstring(content).iter():
        space, _, name = str(element.tag).rpartition("}")
        if space not in SPACES or name == "definitions":
            continue
        ident = element.get("id")
        if name == "sequenceFlow" and not ident:
            ident = f"{element.get('sourceRef')}->{element.get('targetRef')}"
        if ident:
            found[name, ident] += 1
    return found


def account_holds(content: bytes, found: Imported) -> None:
    told = Counter((left.element, left.id) for left in found.left)
    assert told == elements(content)
    by_kind = Counter(left.kind for left in found.left)
    assert by_kind["mapped"] + by_kind["assumed"] + by_kind["lost"] == elements(content).total()
    assert all(left.says for left in found.left)


def refused_at(error: BlueprintInvalid, pointer: str) -> None:
    assert [problem.pointer for problem in error.problems] == [pointer]


def sound(found: Imported) -> None:
    compile_plan(parse_definition(found.blueprint), start=NOW, actions=ACTIONS)
    assert not [f for f in check(found.blueprint, actions=ACTIONS).findings if f.severity == "error"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_element_of_a_file_is_told_once(file: Path) -> None:
    content = file.read_bytes()
    found = import_bpmn(content, actions=ACTIONS)
    account_holds(content, found)
    sound(found)


CONDITIONS = st.sampled_from(
    [
        "", "", "", "${approved}", "${!approved}", "${amount > 5}", "${amount <= 5}", "${a.b == 'x'}", "= x in [1..5]",
        "${service.f(x)}", "${decision == 'reject'}", "return n > 3;", "${amount > 5 && approved}", "#{", "${n == 'x'}",
    ]
)  # fmt: skip
NAMES = st.sampled_from(["", "Approved?", "yes", "no", "Rejected?", "approved", "rejected", "revise", "Ünï & <x>", "5"])
LOOP = "<multiInstanceLoopCharacteristics/>"
TIMER = "<timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition>"


@st.composite
def parts(draw: st.DrawFn, ident: str) -> str:
    """Draw one flow node."""
    name = draw(NAMES)
    kind = draw(st.sampled_from("ttttxxxpioegcsrbaLlmnkT"))
    catch = f'<intermediateCatchEvent id="{ident}">'
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {
        "t": task(ident, name),
        "T": f'<userTask id="{ident}" name="{escaped}" assignee="${{initiator}}">{form("days:long")}</userTask>',
        "x": gateway(ident, name),
        "p": gateway(ident, name, kind="parallel"),
        "i": gateway(ident, name, kind="inclusive"),
        "o": gateway(ident, name, kind="complex"),
        "e": gateway(ident, name, kind="eventBased"),
        "g": f'<serviceTask id="{ident}" name="{escaped}"/>',
        "c": f'<callActivity id="{ident}" calledElement="other"/>',
        "s": f'<scriptTask id="{ident}"><script>x</script></scriptTask>',
        "r": f'<businessRuleTask id="{ident}"/>',
        "b": f'<receiveTask id="{ident}"/>',
        "a": f'<task id="{ident}" name="{escaped}"/>',
        "L": f'<intermediateThrowEvent id="{ident}"><linkEventDefinition name="L"/></intermediateThrowEvent>',
        "l": f'{catch}<linkEventDefinition name="L"/></intermediateCatchEvent>',
        "m": f"{catch}{TIMER}</intermediateCatchEvent>",
        "n": f"{catch}<messageEventDefinition/></intermediateCatchEvent>",
        "k": f'<userTask id="{ident}" name="{escaped}">{LOOP}</userTask>',
    }[kind]


@st.composite
def levels(draw: st.DrawFn, prefix: str = "n", depth: int = 0) -> str:
    """Draw what lies on one level: nodes, ends, sub-processes with what is in them, and any flows between them."""
    count = draw(st.integers(1, 7))
    idents = [f"{prefix}{number}" for number in range(count)]
    inside = [draw(parts(ident)) for ident in idents]
    if draw(st.booleans()):
        inside.append(f'<startEvent id="{prefix}s"/>')
        idents.insert(0, f"{prefix}s")
    for number in range(draw(st.integers(0, 3))):
        event = draw(st.sampled_from(["", "", "terminate", "error", "message"]))
        inside.append(end(f"{prefix}e{number}", draw(st.sampled_from(["", "approved", "rejected", "done"])), event))
        idents.append(f"{prefix}e{number}")
    if depth < 2 and draw(st.integers(0, 3)) == 0:
        by_event = draw(st.sampled_from(["", ' triggeredByEvent="true"']))
        inner = draw(levels(f"{prefix}q", depth + 1))
        inside.append(f'<subProcess id="{prefix}sub"{by_event}>{inner}</subProcess>')
        if not by_event:
            idents.append(f"{prefix}sub")
    if draw(st.integers(0, 3)) == 0:
        attached = draw(st.sampled_from(idents))
        definition = draw(st.sampled_from([TIMER, "<errorEventDefinition/>", "<messageEventDefinition/>"]))
        inside.append(f'<boundaryEvent id="{prefix}b" attachedToRef="{attached}">{definition}</boundaryEvent>')
        idents.append(f"{prefix}b")
    drawn = []
    for one, other in draw(
        st.lists(st.tuples(st.sampled_from(idents), st.sampled_from(idents)), max_size=14, unique=True)
    ):
        condition = draw(CONDITIONS)
        drawn.append(f"{one} -> {other} : {draw(NAMES)}" + (f" ? {condition}" if condition else ""))
    return "".join(inside) + flows(*drawn)


@settings(max_examples=80, deadline=None)
@given(levels())
def test_any_process_is_imported_soundly_and_told_of_whole(inside: str) -> None:
    content = bpmn(inside)
    try:
        found = import_bpmn(content, actions=ACTIONS)
    except BlueprintInvalid as error:
        refused_at(error, "/bpmn")
        return
    account_holds(content, found)
    sound(found)


CELLS = st.sampled_from(
    [
        "-",
        "",
        "> 5",
        "[1..5]",
        "<3, >9",
        "1",
        "not(2)",
        "? > 1 and ? < 4",
        "x * 2",
        '"a"',
        '"a","b"',
        "f(x)",
        "((",
        "null",
    ]
)
VALUES = st.sampled_from(['"a"', '"b"', "1", "0.5", "true", "x", "x + 1", "-", "", '"approved"', "f(x)", "null"])


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Draw one decision table over `x`, `y` and `z`."""
    inputs = draw(st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["number", "string", "Any"]), min_size=1))
    outputs = draw(
        st.dictionaries(st.sampled_from(["level", "fee"]), st.sampled_from(["number", "string", ""]), min_size=1)
    )
    rules = draw(st.lists(st.tuples(*[CELLS] * len(inputs), *[VALUES] * len(outputs)), min_size=0, max_size=6))
    policy = draw(st.sampled_from(["", "FIRST", "ANY", "PRIORITY", "COLLECT", "RULE ORDER", "OUTPUT ORDER"]))
    more = {"aggregation": draw(st.sampled_from(["SUM", "MIN", "MAX", "COUNT"]))} if draw(st.booleans()) else {}
    return table(inputs, outputs, *rules, policy=policy, values=draw(st.sampled_from(["", '"a","b"'])), **more)


@settings(max_examples=150, deadline=None)
@given(tables())
def test_any_decision_table_is_imported_and_told_of_whole_or_refused_as_dmn(logic: str) -> None:
    content = dmn(decision(logic))
    try:
        found = import_dmn(content)
    except BlueprintInvalid as error:
        refused_at(error, "/dmn")
        assert "DMN" in error.message  # noqa: PT017 - it is refused, or it compiles
        return
    account_holds(content, found)
    compile_plan(parse_definition(found.blueprint), start=NOW, actions=ACTIONS)
    # Rules that contradict each other are the file's fault, and found.
    errors = {f.code for f in check(found.blueprint, actions=ACTIONS).findings if f.severity == "error"}
    assert errors <= {"overlap", "evaluation_fails", "dead_branch"}
