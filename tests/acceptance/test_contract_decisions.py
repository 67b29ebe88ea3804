"""The HTTP contract about who decides: seats, quorums, queues, substitutes, separation of duties, rounds and ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.contract import Placet, open_tasks, pointers

LAST: dict[str, Any] = {"stage_name": "Last", "approvers": ["user:olivia"]}


def jury(**more: Any) -> dict[str, Any]:
    """Return a stage of Ann, Ben and Cid."""
    return {"stage_name": "Jury", "approvers": ["group:jury"]} | more


@pytest.mark.parametrize(
    ("rule", "decisions", "ends"),
    [
        ({}, "ann", "approved"),
        ({"quorum": "all"}, "ann ben cid", "approved"),
        ({"quorum": {"at_least": 2}}, "cid ann", "approved"),
        ({"quorum": {"percent": 34}}, "ben cid", "approved"),
        ({"quorum": "all", "order": "sequential"}, "ann ben cid", "approved"),
        ({"quorum": {"at_least": 2}}, "-ben", "rejected"),
        ({"quorum": {"at_least": 2}, "rejection": "unreachable"}, "-ben ann cid", "approved"),
        ({"quorum": {"at_least": 2}, "rejection": "unreachable"}, "-ben -ann", "rejected"),
        ({"quorum": "any", "rejection": "unreachable"}, "-ben -ann cid", "approved"),
        ({}, "~ann ~ben cid", "approved"),  # one is still enough
        ({}, "~ann ~ben ~cid", "rejected"),  # nobody is left who could approve
        ({"quorum": {"at_least": 2}}, "~ann ~ben", "rejected"),
        ({"quorum": {"at_least": 2}, "rejection": "unreachable"}, "~ann -cid", "rejected"),
        ({"quorum": "all", "order": "sequential"}, "ann ~ben", "rejected"),  # all cannot approve any more
    ],
)
def test_a_stage_is_settled_exactly_when_its_quorum_or_rejection_says_so(
    placet: Placet, rule: Any, decisions: str, ends: str
) -> None:
    request = placet.ask(jury(**rule))
    in_turn = rule.get("order") == "sequential"
    seats = {"ann", "ben", "cid"}
    for decision in decisions.split():
        assert request["status"] == "pending"
        who = decision.lstrip("-~")
        assert set(open_tasks(request)) == ({who} if in_turn else seats)
        seats.discard(who)
        request = placet.decide(
            who, open_tasks(request)[who], {"-": "reject", "~": "abstain"}.get(decision[0], "approve")
        )
    assert (request["status"], request["outcome"]) == ("completed", ends)
    left = [task for task in request["tasks"] if task["status"] != "decided"]
    assert {task["status"] for task in left} <= {"superseded"}
    for task in left:
        late = placet.decide(task["assignee"].removeprefix("user:"), task["id"], expect=409)
        assert late["standing"]["status"] == "superseded"


def test_an_abstention_is_on_record_counts_for_nobody_and_says_why_the_stage_is_rejected(placet: Placet) -> None:
    form = {"type": "object", "properties": {"budget": {"type": "integer"}}, "required": ["budget"]}
    request = placet.ask(jury(quorum={"at_least": 2}, form=form, comment_required=["abstain"]))
    tasks = open_tasks(request)
    assert pointers(placet.decide("ann", tasks["ann"], "abstain", expect=422)) == ["/comment"]
    filled = placet.decide("ann", tasks["ann"], "abstain", form={"budget": 1}, comment="My cousin.", expect=422)
    assert pointers(filled) == ["/form"]
    request = placet.decide("ann", tasks["ann"], "abstain", comment="My cousin.")
    task = next(t for t in request["tasks"] if t["id"] == tasks["ann"])
    assert (request["status"], task["status"], task["decision"], task["form"]) == (
        "pending",
        "decided",
        "abstain",
        None,
    )
    assert placet.decide("ann", tasks["ann"], expect=409)["standing"]["decision"] == "abstain"
    answer = placet.post(
        "ben", "tasks/decide/", {"task_ids": [tasks["ben"]], "decision": "abstain", "comment": "Me too."}
    )
    assert answer["results"][0]["request"]["outcome"] == "rejected"
    decided = placet.timeline(request, "decided")
    assert [line["detail"]["decision"] for line in decided] == ["abstain", "abstain"]
    (settled,) = placet.timeline(request, "stage_settled")
    assert settled["detail"]["why"] == "the quorum can no longer be met: 2 of 3 abstained"
    assert placet.get("rita", f"requests/{request['id']}/audit/verify/")["ok"]


def test_whoever_abstained_may_decide_another_stage_where_repeating_is_forbidden(placet: Placet) -> None:
    settings = {"separation_of_duties": {"repeat": "forbid"}}
    both = {"approvers": ["user:ann", "user:ben"]}
    request = placet.ask(both | {"stage_name": "First"}, both | {"stage_name": "Second"}, settings=settings)
    request = placet.decide("ann", open_tasks(request)["ann"], "abstain")
    request = placet.decide("ben", open_tasks(request)["ben"])
    assert list(open_tasks(request)) == ["ann"]
    assert placet.decide("ann", open_tasks(request)["ann"])["outcome"] == "approved"


def test_weights_count_and_the_requester_has_no_seat(placet: Placet) -> None:
    weighed = [{"who": "user:ann", "weight": 3}, {"who": "user:ben", "weight": 1}, {"who": "user:cid"}]
    request = placet.ask({"approvers": weighed, "quorum": {"weight": 3}})
    request = placet.decide("ben", open_tasks(request)["ben"])
    request = placet.decide("cid", open_tasks(request)["cid"])
    assert request["status"] == "pending"
    assert placet.decide("ann", open_tasks(request)["ann"])["outcome"] == "approved"
    assert set(open_tasks(placet.ask(jury(quorum="all"), who="ann"))) == {"ben", "cid"}
    never_lowered = placet.ask(jury(quorum={"at_least": 3}), who="ann")
    assert set(open_tasks(never_lowered)) == {"ben", "cid", "olivia"}
    assert placet.timeline(never_lowered, "approver_missing")


def test_a_queue_has_one_task_until_somebody_claims_it(placet: Placet) -> None:
    request = placet.ask(jury(claim=True))
    ((nobody, task),) = open_tasks(request).items()
    assert nobody is None
    assert task in [t["id"] for t in placet.get("ben", "tasks/?assignee=me&status=open")["items"]]
    placet.post("dana", f"tasks/{task}/claim/", expect=404)
    placet.decide("ann", task, expect=403)
    assert list(open_tasks(placet.post("ann", f"tasks/{task}/claim"))) == ["ann"]
    placet.post("ben", f"tasks/{task}/claim/", {}, expect=409)
    placet.decide("ben", task, expect=403)
    assert list(open_tasks(placet.post("ann", f"tasks/{task}/release/", {}))) == [None]
    placet.post("ben", f"tasks/{task}/claim/")
    assert placet.decide("ben", task)["outcome"] == "approved"


@pytest.mark.parametrize(
    ("step", "who", "asked", "stands_in"),
    [
        ({}, "rita", "max", False),
        ({"approvers": ["user:rita"]}, "rita", "olivia", True),
        ({"approvers": ["user:rita"], "sla_hours": 1, "escalation_to": "department_head"}, "rita", "dana", True),
        ({"approvers": ["role:absent"], "sla_hours": 1, "escalation_to": "department_head"}, "rita", "dana", True),
        ({"approvers": ["role:absent"]}, "rita", "olivia", True),
        ({"approvers": ["role:nobody_has_it"]}, "rita", "olivia", True),
        ({"approvers": ["user:nobody"]}, "rita", "olivia", True),
        ({"approvers": ["role:stood_in"]}, "rita", "max", False),
        ({"approvers": ["role:stood_in"]}, "max", "olivia", True),
        ({}, "carla", "olivia", True),
    ],
)
def test_where_nobody_is_eligible_the_chain_and_then_the_owner_is_asked(
    placet: Placet, step: dict[str, Any], who: str, asked: str, stands_in: bool
) -> None:
    request = placet.ask(step, who=who)
    assert list(open_tasks(request)) == [asked]
    assert bool(placet.timeline(request, "approver_missing")) == stands_in
    assert request["status"] == "pending"


def test_nobody_gets_their_own_request_handed(placet: Placet) -> None:
    request = placet.ask({})
    task = open_tasks(request)["max"]
    for how in ("delegate", "reassign"):
        placet.post("max", f"tasks/{task}/{how}/", {"to": "user:rita"}, expect=403)
        assert pointers(placet.post("max", f"tasks/{task}/{how}/", {"to": "user:ghost"}, expect=422)) == ["/to"]
        assert pointers(placet.post("max", f"tasks/{task}/{how}/", {}, expect=422)) == ["/to"]
        placet.post("ann", f"tasks/{task}/{how}/", {"to": "user:ann"}, expect=404)
    assert list(open_tasks(placet.post("max", f"tasks/{task}/delegate/", {"to": "user:ann"}))) == ["ann"]
    placet.decide("max", task, expect=403)
    moved = placet.post("olivia", f"tasks/{task}/reassign/", {"to": "ben", "reason": "Ann is ill."})
    assert list(open_tasks(moved)) == ["ben"]
    placet.decide("ann", task, expect=403)
    for who in ("max", "ann"):  # who had the task sees what becomes of it
        placet.get(who, f"requests/{request['id']}/")
    assert placet.decide("ben", task)["outcome"] == "approved"
    (delegated,) = placet.timeline(request, "delegated")
    assert (delegated["actor"], delegated["task_id"]) == ("user:max", task)
    assert placet.timeline(request, "reassigned")[0]["detail"]["after"] == {"assignee": "user:ben"}


@pytest.mark.parametrize(
    ("repeat", "asked", "outcome"),
    [("allow", ["max"], None), ("carry", [], "approved"), ("forbid", ["olivia"], None)],
)
def test_one_person_in_two_stages(placet: Placet, repeat: str, asked: list[str], outcome: str | None) -> None:
    settings = {"separation_of_duties": {"repeat": repeat}}
    request = placet.ask({}, {"approvers": ["user:max"]}, settings=settings)
    request = placet.decide("max", open_tasks(request)["max"])
    assert (list(open_tasks(request)), request["outcome"]) == (asked, outcome)


def test_changes_are_asked_for_and_answered_round_by_round(placet: Placet) -> None:
    variables = [{"name": "amount", "type": "decimal", "required": True}]
    request = placet.ask({"sla_hours": 5}, LAST, variables=variables, given={"amount": 9})
    first = open_tasks(request)["max"]
    request = placet.decide("max", first, "request_changes", comment="Less.")
    assert (request["status"], open_tasks(request)) == ("pending", {})
    placet.decide("max", first, expect=409)
    placet.post("max", f"requests/{request['id']}/resubmit/", {}, expect=403)
    assert pointers(
        placet.post("rita", f"requests/{request['id']}/resubmit/", {"input": {"amount": "x"}}, expect=422)
    ) == ["/input/amount"]
    request = placet.post("rita", f"requests/{request['id']}/resubmit/", {"input": {"amount": "7.50"}})
    again = request["tasks"][-1]
    assert (again["assignee"], again["round"], again["sla_state"]) == ("user:max", 2, "ok")
    assert again["due_at"] > request["tasks"][0]["due_at"]
    assert request["input"]["amount"].startswith("7.5")
    assert placet.decide("max", again["id"])["stage"] == "Last"
    kinds = [line["kind"] for line in placet.timeline(request, "changes_requested", "resubmitted")]
    assert kinds[-1] == "resubmitted"
    assert placet.get("rita", f"requests/{request['id']}/audit/verify/")["ok"]


def test_a_request_is_taken_back_by_its_requester_and_cancelled_by_its_owner(placet: Placet) -> None:
    name = placet.publish(placet.process({}))
    mine, theirs = placet.start(name), placet.start(name)
    placet.post("max", f"requests/{mine['id']}/withdraw/", {}, expect=403)
    placet.post("rita", f"requests/{mine['id']}/cancel/", {}, expect=403)
    ended = placet.post("rita", f"requests/{mine['id']}/withdraw", {"reason": "Not needed."})
    assert (ended["status"], ended["outcome"], open_tasks(ended)) == ("cancelled", "withdrawn", {})
    assert placet.timeline(mine, "withdrawn")[0]["actor"] == "user:rita"
    placet.post("rita", f"requests/{mine['id']}/withdraw/", expect=409)
    ended = placet.post("olivia", f"requests/{theirs['id']}/cancel/")
    assert (ended["status"], ended["outcome"]) == ("cancelled", "cancelled")
    placet.decide("max", theirs["tasks"][0]["id"], expect=409)


def test_comments_are_put_down_and_deadlines_are_moved(placet: Placet) -> None:
    request = placet.ask({"sla_hours": 5})
    path = f"requests/{request['id']}"
    placet.post("max", f"{path}/comments/", {"text": "Which hall?"})
    placet.post("ann", f"{path}/comments/", {"text": "Me too."}, expect=404)
    placet.post("max", f"{path}/comments/", {"text": ""}, expect=422)
    assert placet.timeline(request, "commented")[0]["actor"] == "user:max"
    before = request["tasks"][0]["due_at"]
    after = placet.post("olivia", f"{path}/extend/", {"hours": 1})["tasks"][0]["due_at"]
    assert datetime.fromisoformat(after) - datetime.fromisoformat(before) == timedelta(hours=1)
    assert placet.post("ada", f"{path}/extend", {"seconds": 60})["tasks"][0]["due_at"] > after
    moved = placet.post("ada", f"{path}/extend/", {"due_at": "2060-01-01T00:00:00Z"})["tasks"][0]["due_at"]
    assert moved == "2060-01-01T00:00:00.000000Z"
    for who, body, status in (("rita", {"hours": 1}, 403), ("olivia", {}, 422), ("olivia", {"hours": -1}, 422)):
        placet.post(who, f"{path}/extend/", body, expect=status)


def test_forms_and_reasons_are_asked_for_where_the_stage_says_so(placet: Placet) -> None:
    form = {"type": "object", "properties": {"budget": {"type": "integer"}}, "required": ["budget"]}
    request = placet.ask({"form": form, "comment_required": ["reject"]})
    task = open_tasks(request)["max"]
    assert pointers(placet.decide("max", task, "reject", expect=422)) == ["/comment"]
    assert pointers(placet.decide("max", task, form={"budget": "x"}, expect=422)) == ["/form/budget"]
    assert placet.decide("max", task, form={"budget": 3})["tasks"][0]["form"] == {"budget": 3}


def test_many_tasks_are_decided_at_once_each_by_itself(placet: Placet) -> None:
    name = placet.publish(placet.process({}))
    tasks = [open_tasks(placet.start(name))["max"] for _ in range(2)]
    body = {"task_ids": [*tasks, "nope"], "decision": "approve", "comment": "All."}
    results = placet.post("max", "tasks/decide", body, key="all")["results"]
    assert [(r["task_id"], r["status"]) for r in results] == [(tasks[0], 200), (tasks[1], 200), ("nope", 404)]
    assert results[0]["request"]["outcome"] == "approved"
    assert placet.post("max", "tasks/decide/", body, key="all")["results"] == results
    items = {"items": [{"task_id": tasks[0], "decision": "reject"}]}
    assert placet.post("max", "tasks/decide/", items)["results"][0]["status"] == 409
