"""The directory: managers, holders, absences, and the part of it that a request can reach."""

from __future__ import annotations

from datetime import timedelta

import pytest

from placet.definition.assignees import parse_assignee
from placet.directory import Absence, Person, people_reached
from tests.unit.core import START, office, people

LOOP = people(Person(id="a", manager="b"), Person(id="b", manager="c"), Person(id="c", manager="a"))


@pytest.mark.parametrize(
    ("person", "managers"),
    [
        ("rita", ["mo", "dh", "ceo"]),
        ("ceo", []),
        ("nobody", []),
    ],
)
def test_managers_are_listed_nearest_first(person: str, managers: list[str]) -> None:
    assert office().managers(person) == managers


def test_a_loop_of_managers_ends_the_list() -> None:
    assert LOOP.managers("a") == ["b", "c"]
    assert people(Person(id="a", manager="a")).managers("a") == []


def test_who_has_left_holds_no_role_and_is_in_no_group() -> None:
    org = people(Person(id="a", roles=("r",), groups=("g",)), Person(id="b", roles=("r",), groups=("g",), active=False))
    assert (org.holders("r"), org.members("g"), org.get("b"), org.get("x")) == (["a"], ["a"], None, None)


@pytest.mark.parametrize(
    ("hours", "is_away"),
    [
        (-1, False),
        (0, True),  # from the first moment
        (23, True),
        (24, False),  # until, not with
    ],
)
def test_an_absence_holds_from_its_start_until_before_its_end(hours: int, is_away: bool) -> None:
    org = people(Person(id="a", away=(Absence(start=START, until=START + timedelta(hours=24)),)))
    assert (org.absence("a", START + timedelta(hours=hours)) is not None) is is_away


@pytest.mark.parametrize(
    ("names", "also", "found"),
    [
        (["user:mo"], [], "mo dh ceo"),  # with the managers above
        (["role:cfo"], ["rita"], "cfo ceo rita mo dh"),
        (["group:finance"], [], "ann ben cid cfo ceo"),
        (["manager_of(manager_of(user:rita))"], [], "rita mo dh ceo"),
        (["input:sponsor"], [], "olivia ceo"),
        (["user:nobody", "owner", "requester"], ["user:cfo"], "cfo ceo"),  # those are named by `also`
    ],
)
def test_a_request_carries_only_whom_it_can_reach(names: list[str], also: list[str], found: str) -> None:
    org = office()
    part = people_reached(
        [parse_assignee(n) for n in names],
        find=org.people.get,
        holders=lambda role: [org.people[p] for p in org.holders(role)],
        members=lambda group: [org.people[p] for p in org.members(group)],
        also=also,
        given={"sponsor": "user:olivia"},
    )
    assert set(part.people) == set(found.split())


def test_substitutes_of_substitutes_are_carried_however_long_their_chain() -> None:
    absence = {n: (Absence(start=START, until=START, substitute=f"p{n + 1}"),) for n in range(3000)}
    org = people(*(Person(id=f"p{n}", away=absence[n], manager="p0") for n in range(3000)))
    part = people_reached([], find=org.people.get, holders=lambda _: [], members=lambda _: [], also=["p0"])
    assert len(part.people) == 3000
