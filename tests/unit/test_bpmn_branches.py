"""Files of BPMN: branches mean the same as in the diagram, and end as there."""

from __future__ import annotations

import pytest

from tests.unit.bpmn_files import (
    START_EVENT as S,
)
from tests.unit.bpmn_files import (
    Play,
    end,
    flows,
    gateway,
    imported,
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
    assert Play(found, {"n": "0"}).decide("a").outcome == "done"
