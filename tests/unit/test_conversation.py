"""Questions to the requester, their answers, what becomes of open ones, and the reminders of a requester."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.audit.reasons import why_of
from placet.directory import Person
from placet.engine.conversation import LONGEST_QUESTION, MOST_QUESTIONS
from placet.engine.events import Actor, AnswerQuestion, AskQuestion, Claim, Comment, Event, Remind, Resubmit, Withdraw
from placet.engine.mentions import MOST_MENTIONS, mentioned_in, with_names
from placet.engine.recording import recording_of
from placet.errors import (
    AlreadyDecided,
    Ended,
    InputInvalid,
    NotPermitted,
    Refused,
    Returned,
    TooSoon,
    UnknownQuestion,
    UnknownTask,
)
from tests.unit.core import HOUR, START, Case, away, case, graph, office
from workflows.failures import as_error, as_failure

RITA = Actor(person="rita")


def by(person: str) -> Actor:
    return Actor(person=person)


def asked(*, text: str = "which hotel?") -> Case:
    """Return a request about which mo has asked something."""
    request = case({"approvers": ["user:mo"], "sla_hours": 24, "escalation_to": "department_head"})
    request.do(AskQuestion(by=by("mo"), text=text))
    return request


def test_a_question_and_its_answer_are_entries_and_notify_those_concerned() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all", "sla_hours": 24})
    (entry,) = request.do(AskQuestion(by=by("mo"), text="  which hotel? "))
    assert (entry.kind, entry.actor, entry.task_id, entry.detail["question"]) == ("question_asked", "user:mo", "r.1", 1)
    assert why_of(entry.detail) == "which hotel?"
    assert "/why" in entry.salts
    assert request.told("question_asked") == ["rita"]
    (question,) = request.state.open_questions
    assert (question.text, question.asked_at, question.answer) == ("which hotel?", START, None)
    request.hours(1)
    (entry,) = request.do(AnswerQuestion(by=RITA, n=1, text="the one at the fair"))
    assert (entry.kind, entry.actor, entry.task_id) == ("question_answered", "user:rita", "r.1")
    assert request.told("question_answered") == ["mo"]  # dh neither asked nor has mo's task
    (question,) = request.state.questions
    assert (question.answer, question.answered_at) == ("the one at the fair", START + HOUR)
    assert request.state.open_questions == []


def test_a_question_leaves_the_request_and_its_clocks_as_they_are() -> None:
    request = case({"approvers": ["user:mo"], "sla_hours": 24})
    before = request.state
    request.do(AskQuestion(by=by("mo"), text="why?"))
    assert (request.state.tasks, request.state.round, request.state.revision) == (before.tasks, 1, 1)
    assert not recording_of(request.plan, "t", request.state, (), (), stored={}).returned
    request.hours(25)
    assert request.of_kind("sla_breached")
    request.decide("mo")
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (AskQuestion(by=by("cid"), text="why?"), NotPermitted),  # no task of hers
        (AskQuestion(by=RITA, text="why?"), NotPermitted),  # of herself
        (AskQuestion(by=Actor(person="rita", admin=True), text="why?"), NotPermitted),
        (AskQuestion(by=by("mo"), text=" "), InputInvalid),
        (AskQuestion(by=by("mo"), text="x" * (LONGEST_QUESTION + 1)), InputInvalid),
        (AskQuestion(by=by("mo"), text="why?", task_id="r.9"), UnknownTask),
    ],
)
def test_only_who_has_a_task_or_operates_asks_the_requester(event: Event, error: type[Exception]) -> None:
    request = case({"approvers": ["user:mo"]})
    with pytest.raises(error):
        request.do(event)
    assert not request.state.questions
    for number, actor in enumerate((by("mo"), by("olivia"), Actor(person="root", admin=True)), 1):
        request.do(AskQuestion(by=actor, text="why?"))
        assert request.state.questions[-1].n == number
    assert [q.task_id for q in request.state.questions] == ["r.1", None, None]


def test_a_substitute_and_the_people_of_a_queue_ask_as_well() -> None:
    mo = Person(id="mo", manager="dh")
    request = case({"approvers": ["user:mo"]})
    request.reads(office(mo=away(mo, substitute="cid")))
    request.do(AskQuestion(by=by("cid"), text="why?"))
    with pytest.raises(NotPermitted):
        request.do(AskQuestion(by=by("ann"), text="why?"))
    queue = case({"approvers": ["group:finance"], "claim": True})
    queue.do(AskQuestion(by=by("ann"), text="why?"))
    queue.do(Claim(by=by("ben"), task_id="r.1"))
    with pytest.raises(NotPermitted):
        queue.do(AskQuestion(by=by("cid"), text="why?"))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (AnswerQuestion(by=by("mo"), n=1, text="so"), NotPermitted),
        (AnswerQuestion(by=Actor(person="root", admin=True), n=1, text="so"), NotPermitted),
        (AnswerQuestion(by=RITA, n=0, text="so"), UnknownQuestion),
        (AnswerQuestion(by=RITA, n=2, text="so"), UnknownQuestion),
        (AnswerQuestion(by=RITA, n=1, text="\u200b"), InputInvalid),
        (AnswerQuestion(by=RITA, n=1, text="x" * (LONGEST_QUESTION + 1)), InputInvalid),
    ],
)
def test_only_the_requester_answers_a_question_and_once(event: Event, error: type[Exception]) -> None:
    request = asked()
    with pytest.raises(error):
        request.do(event)
    request.do(AnswerQuestion(by=RITA, n=1, text="so"))
    with pytest.raises(Refused, match="has been answered"):
        request.do(AnswerQuestion(by=RITA, n=1, text="again"))


def test_a_repeated_call_asks_and_answers_once() -> None:
    request = case({"approvers": ["user:mo"]})
    for _ in range(2):
        request.do(AskQuestion(by=by("mo"), text="why?", key="q"))
        request.do(AnswerQuestion(by=RITA, n=1, text="so", key="a"))
    assert len(request.of_kind("question_asked")) == len(request.of_kind("question_answered")) == 1


def test_questions_are_bounded_in_number() -> None:
    request = case({"approvers": ["user:mo"]})
    for _ in range(MOST_QUESTIONS):
        request.do(AskQuestion(by=by("mo"), text="why?"))
    with pytest.raises(Refused, match="write a comment"):
        request.do(AskQuestion(by=by("mo"), text="why?"))


def test_an_open_question_goes_with_its_task_when_that_escalates() -> None:
    request = asked()
    request.until(START + timedelta(hours=25))
    assert request.asked == ["dh"]
    request.do(AnswerQuestion(by=RITA, n=1, text="so"))
    assert request.told("question_answered") == ["mo", "dh"]


def test_an_open_question_stays_when_its_task_is_decided_and_the_request_goes_on() -> None:
    request = case({"approvers": ["user:mo"]}, {"approvers": ["user:dh"]})
    request.do(AskQuestion(by=by("mo"), text="why?"))
    request.decide("mo")
    with pytest.raises(AlreadyDecided):
        request.do(AskQuestion(by=by("mo"), text="and?", task_id="r.1"))
    assert [q.n for q in request.state.open_questions] == [1]
    request.do(AnswerQuestion(by=RITA, n=1, text="so"))
    assert request.told("question_answered") == ["mo"]


def test_an_open_question_stays_while_the_request_is_returned() -> None:
    request = asked()
    request.decide("mo", "request_changes", comment="see my question")
    request.do(AnswerQuestion(by=RITA, n=1, text="so"))
    request.do(Resubmit(by=RITA))
    assert request.state.questions[0].answer == "so"


@pytest.mark.parametrize("end", ["withdrawn", "cancelled", "approved", "rejected"])
def test_the_end_of_a_request_closes_open_questions_without_an_answer(end: str) -> None:
    request = asked()
    if end == "withdrawn":
        request.do(Withdraw(by=RITA))
    elif end == "cancelled":
        request.do(Withdraw(by=by("olivia"), how="cancelled"))
    else:
        request.decide("mo", "approve" if end == "approved" else "reject", comment="no")
    assert request.state.outcome == end
    assert request.state.open_questions == []
    assert request.state.questions[0].answer is None
    assert recording_of(request.plan, "t", request.state, (), (), stored={}).open_questions == 0
    with pytest.raises(Ended):
        request.do(AnswerQuestion(by=RITA, n=1, text="so"))
    with pytest.raises(Ended):
        request.do(AskQuestion(by=by("mo"), text="why?"))


def test_a_requester_reminds_those_who_have_not_decided_yet() -> None:
    approvers = ["user:mo", "user:dh", "user:cid"]
    request = case({"approvers": approvers, "quorum": "all", "sla_hours": 200, "reminders": {"every_hours": 30}})
    request.decide("dh")
    request.hours(3)
    before = [task.remind_at for task in request.state.tasks]
    entries = request.do(Remind(by=RITA))
    assert [(e.kind, e.actor, e.task_id, e.detail["to"]) for e in entries] == [
        ("reminded", "user:rita", "r.1", ["user:mo"]),
        ("reminded", "user:rita", "r.3", ["user:cid"]),
    ]
    assert request.told("reminded") == ["mo", "cid"]
    assert [task.remind_at for task in request.state.tasks] == before  # the schedule stays


def test_only_the_requester_reminds_and_once_a_day() -> None:
    request = case({"approvers": ["user:mo"]})
    for actor in (by("mo"), by("olivia"), Actor(person="root", admin=True)):
        with pytest.raises(NotPermitted):
            request.do(Remind(by=actor))
    request.do(Remind(by=RITA))
    request.until(START + timedelta(hours=24) - timedelta(microseconds=1))
    with pytest.raises(TooSoon) as refused:
        request.do(Remind(by=RITA))
    assert refused.value.again_at == START + timedelta(hours=24)
    assert isinstance(again := as_error(as_failure(refused.value)), TooSoon)  # as it comes out of the engine
    assert (again.again_at, again.message) == (refused.value.again_at, refused.value.message)
    request.until(START + timedelta(hours=24))
    request.do(Remind(by=RITA))
    assert request.told("reminded") == ["mo", "mo"]


def test_nobody_is_reminded_while_the_request_is_returned_or_waits_for_nobody() -> None:
    returned = case({"approvers": ["user:mo"]})
    returned.decide("mo", "request_changes", comment="less")
    with pytest.raises(Returned):
        returned.do(Remind(by=RITA))
    ended = case({"approvers": ["user:mo"]})
    ended.decide("mo")
    with pytest.raises(Ended):
        ended.do(Remind(by=RITA))
    nodes: dict[str, dict[str, Any]] = {"ask": {"step": "Stage 1"}, "pause": {"type": "wait", "hours": 5}}
    edges = ("start -> pause", "pause -> ask on done", "ask -> approved on approved", "ask -> rejected on rejected")
    waiting = case({"approvers": ["user:mo"]}, graph_spec=graph(*edges, nodes=nodes))
    with pytest.raises(Refused, match="waits for nobody"):
        waiting.do(Remind(by=RITA))


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("@mo, @dh: look", ["mo", "dh"]),
        ("(@mo) and @mo again.", ["mo"]),
        ("@anna.b@example.org.", ["anna.b@example.org"]),
        ("write to mo@example.org or a@b", []),  # addresses
        ("@ @- @@mo", []),
        (" ".join(f"@p{n}" for n in range(30)), [f"p{n}" for n in range(MOST_MENTIONS)]),
    ],
)
def test_a_text_mentions_whom_it_names_with_an_at(text: str, people: list[str]) -> None:
    assert mentioned_in(text) == people


def test_whoever_is_mentioned_is_told_once_and_only_if_the_event_allows_them() -> None:
    request = case({"approvers": ["user:mo"]})
    text = "@mo @cid @ann @rita: look"
    (entry,) = request.do(Comment(by=RITA, text=text, mentions=("mo", "cid", "rita", "ben")))
    assert entry.detail["mentioned"] == ["user:mo", "user:cid"]  # ann may not see it, ben is not named, rita wrote it
    assert (request.told("mentioned"), request.told("commented")) == (["mo", "cid"], [])
    (entry,) = request.do(AskQuestion(by=by("mo"), text="why, @rita and @cid?", mentions=("rita", "cid")))
    assert entry.detail["mentioned"] == ["user:cid"]
    assert (request.told("question_asked"), request.told("mentioned")) == (["rita"], ["mo", "cid", "cid"])
    (entry,) = request.do(AnswerQuestion(by=RITA, n=1, text="ask @ann, @mo", mentions=("ann", "mo")))
    assert entry.detail["mentioned"] == ["user:ann"]
    assert request.told("question_answered") == ["mo"]
    (entry,) = request.do(Comment(by=RITA, text="nobody"))
    assert "mentioned" not in entry.detail


def test_names_stand_in_the_place_of_ids_when_a_text_is_read() -> None:
    assert with_names("@mo. and @ann, mo@ann", {"mo": "Mo <b>", "x": "X"}) == "@Mo <b>. and @ann, mo@ann"


def test_nobody_is_reminded_while_a_decision_may_be_undone() -> None:
    request = case({"approvers": ["user:mo"], "undo_seconds": 60})
    request.decide("mo")
    with pytest.raises(Refused, match="may be undone, until"):
        request.do(Remind(by=RITA))
