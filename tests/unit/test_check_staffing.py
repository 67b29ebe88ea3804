"""Staffing: the proofs look at kinds of people, say the same as for each person, and cost the same for any group."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.definition.model import parse_definition
from placet.directory import Directory, Person
from placet.engine.run import Run
from placet.plan.graph import Node, Stage
from placet.proofs import check
from placet.proofs.draft import draft_of
from placet.proofs.people import staffing
from placet.proofs.people.equivalence import PersonClass, StagePeople
from placet.proofs.people.staffing import Staffing, staffing_of
from placet.proofs.structure.compilation import compiled
from placet.tasks.seats import FilledSeats, fill_seats

MANY = 20_000


def chain(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "Chain", "version": "1.0.0", "process_steps": list(steps), **more}


def told(raw: dict[str, Any], people: dict[str, Person]) -> Staffing:
    definition = parse_definition(raw)
    plan, refusals = compiled(definition, raw, None, None)
    assert plan is not None, refusals
    return staffing_of(draft_of(definition), plan, people)


class _Everyone(StagePeople):
    """Everybody as a kind of their own: slow, and what the kinds have to agree with."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.few = dict(self._all.people)
        self.__dict__["kinds"] = [PersonClass([[person]]) for person in self._all.people]

    def told_apart(self, kind: PersonClass) -> list[PersonClass]:
        return [kind]

    def kind_of(self, person: str, requester: str) -> Hashable:
        return person


IDS = [f"{letter}{number}" for number in (1, 2, 3) for letter in "caedb"]
NAMES = [
    "manager_of(requester)",
    "role:r",
    "role:s",
    "group:g",
    "group:h",
    "user:a1",
    "user:c2",
    "manager_of(requester)",
]
NAMES += ["manager_of(manager_of(requester))", "manager_of(user:b2)", "requester"]
HELD = [((), ()), (("r",), ()), (("s",), ("g",)), ((), ("g",)), (("r",), ("g", "h")), ((), ("h",))]


@st.composite
def organisations(draw: st.DrawFn) -> dict[str, Person]:
    ids = IDS[: draw(st.integers(2, 13))]
    held = draw(st.lists(st.sampled_from(HELD), min_size=1, max_size=4))
    bosses = st.sampled_from([*draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3)), *ids, None, "nobody"])
    people = {}
    for person in ids:
        roles, groups = draw(st.sampled_from(held))
        manager = draw(bosses)
        people[person] = Person(
            id=person,
            manager=manager if manager != person else None,
            roles=roles,
            groups=groups,
            active=draw(st.integers(0, 9)) > 0,
            load=draw(st.integers(0, 3)),
        )
    return people


@st.composite
def stages(draw: st.DrawFn) -> dict[str, Any]:
    approvers: list[Any] = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
    quorums = ["any", "all", {"at_least": draw(st.integers(1, 4))}, {"percent": 60}]
    if draw(st.booleans()):
        approvers = [{"who": who, "weight": draw(st.integers(1, 2))} for who in approvers]
        quorums.append({"weight": draw(st.integers(1, 5))})
    step: dict[str, Any] = {"stage_name": "A", "approvers": approvers, "quorum": draw(st.sampled_from(quorums))}
    step |= draw(st.sampled_from([{}, {"claim": True}, {"assign": "least_loaded"}]))
    targets = st.sampled_from([name for name in NAMES if name != "requester"])
    kind = draw(st.integers(0, 2))
    if kind == 1:
        step |= {"sla_hours": 1, "escalation_to": draw(targets)}
    elif kind == 2:
        actions = st.sampled_from(["reassign", "add", "notify"])
        levels = [
            {"to": draw(targets), "action": draw(actions), "after_hours": n} for n in range(draw(st.integers(1, 2)))
        ]
        step |= {"sla_hours": 1, "escalation": levels}
    return step


@settings(max_examples=400)
@given(organisations(), stages(), st.sampled_from([None, "user:c1", "role:s", "group:h"]))
def test_kinds_tell_what_asking_about_each_person_tells(
    people: dict[str, Person], step: dict[str, Any], owner: str | None
) -> None:
    raw = chain(step) | ({"owner": owner} if owner else {})
    found = told(raw, people)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staffing, "StagePeople", _Everyone)
        patch.setattr(staffing, "MOST_LOOKS", 10**9)
        each = told(raw, people)
    assert _facts(found) == _facts(each)


def _facts(told: Staffing) -> tuple[Any, ...]:
    """Return what was told but for whom it is shown by."""
    findings = [(f.code, f.severity, f.pointer, f.message.split(", such as")[0]) for f in told.findings]
    findings = [(c, s, p, m if c != "not_resilient" else "") for c, s, p, m in findings]
    return findings, told.requesters, told.longest_chain, told.may_be_away, told.complete


def organisation(span: int) -> dict[str, Person]:
    """Return 20,000 people, each of whom manages `span` others; every one in ten leads a department."""
    sizes = {"group": 1, "hundred": MANY // 100, "thousand": MANY // 1000}
    return {
        f"p{n:05}": Person(
            id=f"p{n:05}",
            manager=f"p{n // span:05}" if n else None,
            roles=("department_head",) if n % 10 == 0 else (),
            groups=tuple(name for name, each in sizes.items() if n % each == 0),
        )
        for n in range(MANY)
    }


@pytest.mark.parametrize("span", [1, 8, 500])
@pytest.mark.parametrize(
    "step",
    [
        {"approvers": ["group:group"]},  # all 20,000
        {"approvers": ["group:group"], "quorum": {"at_least": 50}},
        {"approvers": ["group:thousand"], "quorum": "all"},
        {"approvers": ["group:group"], "claim": True},
        {"approvers": ["group:group", "group:hundred"], "assign": "least_loaded"},
        {"approvers": ["manager_of(requester)"], "sla_hours": 4, "escalation_to": "department_head"},
        {"approvers": ["role:department_head", "group:hundred"], "sla_hours": 4, "escalation_to": "group:group"},
    ],
)
def test_twenty_thousand_people_are_proven_in_bounded_time_whatever_the_group(span: int, step: dict[str, Any]) -> None:
    directory = Directory(people=organisation(span))
    began = time.process_time()
    report = check(chain({"stage_name": "A", **step}), directory=directory)
    assert time.process_time() - began < 10  # a fiftieth of it on an idle machine
    assert report.certificate is not None
    assert report.certificate.complete
    assert report.certificate.totals["requesters"] == MANY


def test_a_kind_is_looked_at_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def fill(run: Run, node: Node, stage: Stage) -> FilledSeats:
        looks.append(len(run.state.directory.people))
        return fill_seats(run, node, stage)

    monkeypatch.setattr(staffing, "fill_seats", fill)
    found = []
    for count in (100, MANY):
        looks.clear()
        everyone = {f"p{n}": Person(id=f"p{n}", groups=("board",), manager="top") for n in range(count)}
        told(chain({"stage_name": "A", "approvers": ["group:board"], "quorum": {"at_least": 3}}), everyone)
        found.append(sum(looks))
    assert found[0] == found[1] < 100


def test_a_witness_is_a_person_of_the_organisation() -> None:
    people = {f"p{n}": Person(id=f"p{n}", manager="boss" if n % 2 else None) for n in range(1000)}
    people["boss"] = Person(id="boss", manager="p1")
    (found,) = (f for f in told(chain({"stage_name": "A"}), people).findings if f.code == "quorum_not_met")
    assert found.message.startswith("for 500 of 1001 requesters, such as 'p0'")
    assert found.witness == {"requester": "p0"}
    (found,) = told(chain({"stage_name": "A", "approvers": ["user:boss"]}), people).findings
    assert found.witness == {"requester": "boss"}
