"""Files of BPMN: branches mean the same as in the diagram, and end as there."""

from __future__ import annotations

import pytest

from tests.unit.bpmn_files import (
    START_EVENT as S,
)
from tests.unit.bpmn_files import (
    Play,
    edges,
    end,
    flows,
    gateway,
    imported,
    said_of,
    task,
)
from tests.unit.test_bpmn_meaning import SUB


def test_both_branches_are_done_before_the_request_ends() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + task("a")
        + task("b")
        + end("e1", "legal done")
        + end("e2", "finance done")
        + flows("s -> g", "g -> a", "g -> b", "a -> e1", "b -> e2")
    )
    for first, second in (("a", "b"), ("b", "a")):
        play = Play(found).decide(first)
        assert (play.asked, play.outcome) == ([second], None)
        assert play.decide(second).outcome == "completed"


def test_only_a_terminate_end_stops_all() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + task("a")
        + task("b")
        + end("e1", "stop", "terminate")
        + end("e2", "finance done")
        + flows("s -> g", "g -> a", "g -> b", "a -> e1", "b -> e2")
    )
    assert Play(found).decide("a").outcome == "stop"
    play = Play(found).decide("b")
    assert (play.asked, play.outcome) == (["a"], None)
    assert play.decide("a").outcome == "stop"


@pytest.mark.parametrize("joined", [False, True])
def test_inside_a_sub_process_a_terminate_end_stops_only_that(joined: bool) -> None:
    inside = (
        gateway("g", kind="parallel")
        + task("a")
        + task("b")
        + task("c")
        + gateway("x")
        + end("stop", "stop", "terminate")
        + flows("is -> g", "g -> a", "g -> b", "g -> c", "a -> x", "x -> stop ? ${n > 5}")
    )
    if joined:
        inside += (
            gateway("j", kind="parallel") + end("out") + flows("x -> j ? ${n <= 5}", "b -> j", "c -> j", "j -> out")
        )
    else:
        inside += end("plain") + flows("x -> plain ? ${n <= 5}", "b -> plain", "c -> plain")
    found = imported(S + SUB.format(inside=inside))
    assert Play(found, {"n": "9"}).decide("b").decide("a").asked == ["after"]
    play = Play(found, {"n": "1"}).decide("b").decide("a")
    assert play.asked == ["c"]
    assert play.decide("c").asked == ["after"]
    assert play.decide("after").outcome == "done"


def test_a_terminate_end_in_a_plain_sub_process_leads_on_behind_it() -> None:
    found = imported(
        S + SUB.format(inside=task("a") + end("stop", "stop", "terminate") + flows("is -> a", "a -> stop"))
    )
    assert Play(found).decide("a").asked == ["after"]


def test_branches_that_end_in_different_ways_come_to_the_worst_of_them() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + task("a")
        + task("b")
        + gateway("x", "Approved?")
        + end("e1", "approved")
        + end("e2", "rejected")
        + end("e3", "approved")
        + flows("s -> g", "g -> a", "g -> b", "a -> x", "x -> e1 : yes", "x -> e2 : no", "b -> e3")
    )
    play = Play(found).decide("a", "reject")
    assert (play.asked, play.outcome) == (["b"], None)
    assert play.decide("b").outcome == "rejected"
    assert Play(found).decide("b").decide("a").outcome == "approved"
    assert Play(found, {"ended_rejected": True}).decide("b").decide("a").outcome == "approved"


def test_branches_that_meet_earlier_than_others_get_a_fork_of_their_own() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + "".join(task(name) for name in "abcd")
        + gateway("j1", kind="parallel")
        + gateway("j2", kind="parallel")
        + end("e", "done")
        + flows(
            "s -> g", "g -> a", "g -> b", "g -> c", "a -> j1", "b -> j1", "j1 -> d", "d -> j2", "c -> j2", "j2 -> e"
        )
    )
    play = Play(found).decide("a").decide("c")
    assert play.asked == ["b"]
    assert play.decide("b").asked == ["d"]
    assert play.decide("d").outcome == "done"


def test_branches_that_only_merge_do_what_follows_once_each() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + task("a")
        + task("b")
        + gateway("m")
        + task("c")
        + end("e", "done")
        + flows("s -> g", "g -> a", "g -> b", "a -> m", "b -> m", "m -> c", "c -> e")
    )
    play = Play(found).decide("a")
    assert play.asked == ["b", "c"]
    play.decide("c").decide("b")
    assert play.asked == ["c (2)"]
    assert play.decide("c (2)").outcome == "done"


def test_an_inclusive_gateway_takes_each_way_whose_condition_holds_else_its_default() -> None:
    found = imported(
        S
        + gateway("g", kind="inclusive", default="g-c")
        + "".join(task(name) for name in "abcd")
        + gateway("j", kind="inclusive")
        + end("e", "done")
        + flows("s -> g", "g -> a ? ${amount > 100}", "g -> b ? ${foreign}", "g -> c")
        + flows("a -> j", "b -> j", "c -> j", "j -> d", "d -> e")
    )
    assert Play(found, {"amount": "200", "foreign": True}).asked == ["a", "b"]
    assert Play(found, {"amount": "2", "foreign": True}).asked == ["b"]
    play = Play(found, {"amount": "2", "foreign": False})
    assert play.asked == ["c"]
    assert play.decide("c").asked == ["d"]


def test_conditions_on_ways_out_of_a_task_take_each_that_holds() -> None:
    found = imported(
        S
        + task("a")
        + task("b")
        + task("c")
        + end("e", "done")
        + flows("s -> a", "a -> b ? ${n > 1}", "a -> c ? ${n > 2}", "b -> e", "c -> e")
    )
    assert Play(found, {"n": "3"}).decide("a").asked == ["b", "c"]
    assert Play(found, {"n": "2"}).decide("a").asked == ["b"]
    assert Play(found, {"n": "0"}).decide("a").outcome == "undecided"


UNDECIDED = "where no condition holds, the request ends as undecided; the file's engine would stop"
JOINED = gateway("j", kind="inclusive") + end("e", "approved") + flows("a -> j", "b -> j", "j -> e")
ENDED = end("e", "approved") + end("e2", "approved") + flows("a -> e", "b -> e2")


@pytest.mark.parametrize("behind", [JOINED, ENDED], ids=["joined", "ended"])
@pytest.mark.parametrize("split", [gateway("g", kind="inclusive"), task("g")], ids=["gateway", "task"])
def test_where_no_condition_of_a_fork_holds_the_request_ends_undecided_and_nobody_is_passed_over(
    split: str, behind: str
) -> None:
    drawn = flows("s -> g", "g -> a ? ${amount > 10}", "g -> b ? ${country == 'DE'}")
    found = imported(S + split + task("a") + task("b") + behind + drawn)

    def asked(amount: str, country: str) -> Play:
        play = Play(found, {"amount": amount, "country": country})
        return play.decide("g") if play.asked == ["g"] else play

    assert asked("5", "FR").outcome == "undecided"
    assert UNDECIDED in said_of(found, "g")
    assert asked("50", "FR").decide("a").outcome == "approved"
    assert asked("5", "DE").decide("b").outcome == "approved"
    assert asked("50", "DE").decide("b").decide("a").outcome == "approved"


@pytest.mark.parametrize(
    "second",
    [
        "g -> b ? ${amount <= 10}",  # one of them always holds
        "g -> b ? ${amount <= 50}",  # both may
        "g -> b ? ${true}",
    ],
)
def test_conditions_of_a_fork_that_cover_every_request_need_no_decision_before_it(second: str) -> None:
    drawn = flows("s -> g", "g -> a ? ${amount > 10}", second)
    found = imported(S + gateway("g", kind="inclusive") + task("a") + task("b") + JOINED + drawn)
    assert ("s", "g", "") in edges(found)
    assert "undecided" not in said_of(found, "g")


def test_it_is_told_that_exclusive_ways_out_of_a_task_may_all_not_hold() -> None:
    found = imported(
        S + task("g") + task("a") + task("b") + ENDED + flows("s -> g", "g -> a ? ${n == 1}", "g -> b ? ${n == 2}")
    )
    assert Play(found, {"n": "3"}).decide("g").outcome == "undecided"
    assert UNDECIDED in said_of(found, "g")


@pytest.mark.parametrize(
    ("amount", "country", "asked", "outcome"),
    [
        ("50", "FR", ["a"], "a_done"),
        ("5", "DE", ["b"], "b_done"),
        ("50", "DE", ["a", "b"], "a_done"),  # the first of them, as is told
        ("5", "FR", [], "undecided"),
    ],
)
def test_a_branch_that_is_not_taken_says_nothing_of_the_outcome(
    amount: str, country: str, asked: list[str], outcome: str
) -> None:
    found = imported(
        S
        + gateway("g", kind="inclusive")
        + task("a")
        + task("b")
        + end("e1", "a done")
        + end("e2", "b done")
        + flows("s -> g", "g -> a ? ${amount > 10}", "g -> b ? ${country == 'DE'}", "a -> e1", "b -> e2")
    )
    assert "the first of a_done, b_done that occurred" in said_of(found, "g")
    play = Play(found, {"amount": amount, "country": country})
    assert play.asked == asked
    for stage in asked:
        play.decide(stage)
    assert play.outcome == outcome
