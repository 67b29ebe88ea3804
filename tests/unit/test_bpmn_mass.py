"""Whatever a file holds, nothing crashes, and every element of it is told once: mapped, assumed or lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.blueprint import parse_blueprint
from placet.bpmn import Imported, import_bpmn
from placet.check import check
from placet.errors import BlueprintInvalid
from placet.plan import compile_plan
from tests.unit.bpmn_files import ACTIONS, NOW, bpmn, end, flows, form, gateway, task

FILES = sorted((Path(__file__).parents[1] / "data" / "bpmn").glob("*.bpmn"))
MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


def elements(content: bytes) -> Counter[tuple[str, str]]:
    """Count the elements of BPMN with an id, and the sequence flows, by a way of its own: name and id of each."""
    found: Counter[tuple[str, str]] = Counter()
    for element in fromstring(content).iter():
        name = str(element.tag)
        if not name.startswith(MODEL) or name == f"{MODEL}definitions":
            continue
        ident = element.get("id")
        if name == f"{MODEL}sequenceFlow" and not ident:
            ident = f"{element.get('sourceRef')}->{element.get('targetRef')}"
        if ident:
            found[name.removeprefix(MODEL), ident] += 1
    return found


def account_holds(content: bytes, found: Imported) -> None:
    told = Counter((left.element, left.id) for left in found.left)
    assert told == elements(content)
    by_kind = Counter(left.kind for left in found.left)
    assert by_kind["mapped"] + by_kind["assumed"] + by_kind["lost"] == elements(content).total()
    assert all(left.says for left in found.left)


def sound(found: Imported) -> None:
    compile_plan(parse_blueprint(found.blueprint), start=NOW, actions=ACTIONS)
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


@settings(max_examples=150, deadline=None)
@given(levels())
def test_any_process_is_imported_soundly_and_told_of_whole(inside: str) -> None:
    content = bpmn(inside)
    try:
        found = import_bpmn(content, actions=ACTIONS)
    except BlueprintInvalid as error:
        assert [problem.pointer for problem in error.problems] == ["/bpmn"]  # noqa: PT017 - it is refused, or it is sound
        return
    account_holds(content, found)
    sound(found)
