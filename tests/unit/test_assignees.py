"""Names of people: what parses, how it is written again, and what is refused."""

from __future__ import annotations

import pytest

from placet.definition.assignees import parse_assignee, person_id
from placet.errors import BlueprintInvalid


@pytest.mark.parametrize(
    ("text", "written", "single"),
    [
        ("user:alice", "user:alice", True),
        ("  role:cfo ", "role:cfo", False),
        ("department_head", "role:department_head", False),  # a bare name is a role
        ("group:finance", "group:finance", False),
        ("requester", "requester", True),
        ("owner", "owner", True),
        ("assignee", "assignee", True),
        ("input:sponsor", "input:sponsor", True),
        ("inputs:sponsors", "inputs:sponsors", False),
        ("manager_of(requester)", "manager_of(requester)", True),
        ("manager_of( manager_of(user:a.b@c-d) )", "manager_of(manager_of(user:a.b@c-d))", True),
    ],
)
def test_a_name_is_read_and_written_in_one_way(text: str, written: str, single: bool) -> None:
    who = parse_assignee(text)
    assert str(who) == written
    assert parse_assignee(written) == who
    assert who.single is single


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user:",
        "user:a b",
        "user:a\nb",
        "team:x",  # no such kind
        "manager_of()",
        "manager_of(requester",
        "manager_of(role:cfo)",  # can be several
        "manager_of(inputs:sponsors)",
        "manager_of(" * 9 + "requester" + ")" * 9,  # too deep
        "a" * 129,
    ],
)
def test_what_names_nobody_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BlueprintInvalid, match=r"write|nested"):
        parse_assignee(text)


@pytest.mark.parametrize("reference", ["alice", "user:alice"])
def test_a_person_is_referred_to_with_or_without_the_kind(reference: str) -> None:
    assert person_id(reference) == "alice"
