"""The HTTP contract about what is approved: revisions and digests, and what a change voids."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract import Placet, open_tasks, pointers
from tests.waiting import poll

GALLERY = Path(__file__).parents[2] / "blueprints"
AMOUNT = [{"name": "amount", "type": "decimal", "required": True}, {"name": "note", "type": "string"}]
MAX: dict[str, Any] = {"stage_name": "First", "approvers": ["user:max"]}
CARLA: dict[str, Any] = {"stage_name": "Last", "approvers": ["role:cfo"]}


def ask(placet: Placet, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return placet.ask(*steps, variables=AMOUNT, given={"amount": "100", "note": "desk"}, **more)


def resubmit(placet: Placet, request: dict[str, Any], **body: Any) -> dict[str, Any]:
    return dict(placet.post("rita", f"requests/{request['id']}/resubmit/", body))


def test_a_request_and_its_tasks_tell_revision_and_digest_and_so_does_each_decision(placet: Placet) -> None:
    request = ask(placet, MAX, CARLA)
    digest = request["content_digest"]
    assert len(digest) == 64
    assert {(task["revision"], task["content_digest"]) for task in request["tasks"]} == {(1, digest)}
    request = placet.decide("max", open_tasks(request)["max"], revision=1)
    (decided,) = placet.timeline(request, "decided")
    assert (decided["detail"]["revision"], decided["detail"]["content_digest"]) == (1, digest)
    assert ask(placet, MAX)["content_digest"] != digest  # of another process


def test_the_gallerys_discount_goes_again_from_its_first_node_when_it_grows(placet: Placet) -> None:
    blueprint = json.loads((GALLERY / "discount.json").read_text()) | {"name": placet.name()}
    blueprint["process_steps"][1]["approvers"] = ["role:department_head", "role:cfo"]
    blueprint["settings"].pop("calendar")
    template = placet.publish(blueprint)
    request = placet.start(template, given={"customer": "existing", "percent": "8"})
    assert request["title"] == f"{template}: customer existing, percent 8.0"
    request = placet.decide("max", open_tasks(request)["max"], "request_changes", comment="More.")
    request = resubmit(placet, request, input={"customer": "existing", "percent": "60"})
    assert set(open_tasks(request)) == {"dana", "carla"}
    assert (request["title"], request["revision"]) == (f"{template}: customer existing, percent 60.0", 2)
    for who in ("dana", "carla"):
        request = placet.decide(who, open_tasks(request)[who])
    assert request["outcome"] == "approved"


def test_a_decision_on_an_older_revision_is_refused_with_the_difference(placet: Placet) -> None:
    request = ask(placet, MAX, CARLA)
    request = placet.decide("max", open_tasks(request)["max"], revision=1)
    request = placet.decide("carla", open_tasks(request)["carla"], "request_changes", revision=1)
    request = resubmit(placet, request, input={"amount": "1000000", "note": "desk"})
    task = open_tasks(request)["max"]
    refused = placet.decide("max", task, revision=1, expect=409)
    assert refused["reason"] == "content_changed"
    assert refused["difference"] == [{"field": "amount", "before": "100", "after": "1000000"}]
    assert pointers(placet.decide("max", task, revision=3, expect=422)) == ["/revision"]
    request = placet.decide("max", task, revision=2)
    assert set(open_tasks(request)) == {"carla"}
    (entry,) = placet.timeline(request, "resubmitted")
    assert entry["detail"]["changes"] == refused["difference"]
    assert placet.get("ada", f"requests/{request['id']}/audit/verify/")["ok"]


def test_a_process_can_demand_that_every_decision_names_its_revision(placet: Placet) -> None:
    request = ask(placet, MAX, settings={"require_revision": True})
    task = open_tasks(request)["max"]
    assert pointers(placet.decide("max", task, expect=422)) == ["/revision"]
    assert placet.decide("max", task, revision=1)["outcome"] == "approved"


def test_a_resubmission_that_changes_nothing_or_only_what_is_immaterial_opens_the_returned_stage_alone(
    placet: Placet,
) -> None:
    request = ask(placet, MAX, CARLA, settings={"immaterial": ["note"]})
    request = placet.decide("max", open_tasks(request)["max"])
    for body, revision in ({}, 1), ({"input": {"amount": "100", "note": "chair"}}, 2):
        request = placet.decide("carla", open_tasks(request)["carla"], "request_changes")
        request = resubmit(placet, request, **body)
        assert set(open_tasks(request)) == {"carla"}
        assert request["revision"] == revision
    assert placet.decide("carla", open_tasks(request)["carla"], revision=2)["outcome"] == "approved"


def test_another_title_is_a_change_like_any_other(placet: Placet) -> None:
    request = ask(placet, MAX)
    request = placet.decide("max", open_tasks(request)["max"], "request_changes")
    request = resubmit(placet, request, title="A yacht", comment="As it is.")
    assert (request["title"], request["revision"]) == ("A yacht", 2)
    refused = placet.decide("max", open_tasks(request)["max"], revision=1, expect=409)
    assert [change["field"] for change in refused["difference"]] == ["title"]


def test_while_it_is_returned_the_other_branch_of_a_fork_stands_still(placet: Placet) -> None:
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "both", "type": "fork"},
        {"id": "a", "type": "approval", "step": "First"},
        {"id": "b", "type": "approval", "step": "Last"},
        {"id": "met", "type": "join"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
    ]
    ways = [("start", "both"), ("both", "a"), ("both", "b"), ("a", "met"), ("b", "met"), ("met", "yes")]
    edges = [{"from": one, "to": other} for one, other in ways]
    request = ask(placet, MAX, CARLA | {"sla_hours": 5}, graph_spec={"nodes": nodes, "edges": edges})
    task = open_tasks(request)["carla"]
    request = placet.decide("max", open_tasks(request)["max"], "request_changes")
    assert placet.decide("carla", task, expect=409)["reason"] == "returned"
    request = resubmit(placet, request, input={"amount": "60"})
    assert set(open_tasks(request)) == {"max", "carla"}
    assert placet.decide("carla", task, revision=1, expect=409)["reason"] == "content_changed"


def test_a_blueprint_of_format_1_keeps_the_approvals_of_what_was_changed(placet: Placet) -> None:
    request = ask(placet, MAX, CARLA, format=1)
    request = placet.decide("max", open_tasks(request)["max"])
    request = placet.decide("carla", open_tasks(request)["carla"], "request_changes")
    request = resubmit(placet, request, input={"amount": "60"})
    assert set(open_tasks(request)) == {"carla"}


def test_a_mail_to_whoever_is_asked_again_says_what_was_changed(placet: Placet) -> None:
    request = ask(placet, MAX)
    request = placet.decide("max", open_tasks(request)["max"], "request_changes")
    mailbox = placet.where["mailbox"].rstrip("/")

    def mails() -> set[str]:
        return set(re.findall(r'href="/?(\d+)"', placet.http.get(placet.where["mailbox"]).text))

    note = f"a chair for {placet.name()}"  # as no other mail has it
    looked_at = mails()
    resubmit(placet, request, input={"amount": "100", "note": note})

    def told() -> bool:
        new = mails() - looked_at
        looked_at.update(new)
        return any(f"Note: desk → {note}" in placet.http.get(f"{mailbox}/{n}").text for n in new)

    poll(told, what="the mail")


def test_a_timeline_is_whole_or_in_pages(placet: Placet) -> None:
    request = ask(placet, MAX)
    request = placet.decide("max", open_tasks(request)["max"])
    path = f"requests/{request['id']}/timeline/"
    whole = placet.get("rita", path)
    assert whole["next_cursor"] is None
    items, query = [], "?limit=2"
    while query:
        page = placet.get("rita", path + query)
        assert len(page["items"]) <= 2
        items += page["items"]
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"
    assert items[: len(whole["items"])] == whole["items"]  # a mail may have left meanwhile
    assert pointers(placet.get("rita", f"{path}?cursor=nonsense", expect=422)) == ["/cursor"]


@pytest.mark.parametrize("revision", [True, "1", 1.0, 0])
def test_a_revision_is_a_whole_number(placet: Placet, revision: Any) -> None:
    request = ask(placet, MAX)
    assert pointers(placet.decide("max", open_tasks(request)["max"], revision=revision, expect=422)) == ["/revision"]


def test_an_event_names_nobody_as_an_approver_who_is_not_there(placet: Placet) -> None:
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "picked", "type": "wait", "event": "picked", "timeout_hours": 10, "output": {"who": "who"}},
        {"id": "a", "type": "approval", "step": "First"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "late", "type": "terminator", "outcome": "expired"},
    ]
    edges = [
        {"from": "start", "to": "picked"},
        {"from": "picked", "to": "a", "on": "event"},
        {"from": "picked", "to": "late", "on": "timeout"},
        {"from": "a", "to": "yes"},
    ]
    step = {"stage_name": "First", "approvers": ["input:who"]}
    who = [{"name": "who", "type": "string"}]
    request = placet.ask(step, graph_spec={"nodes": nodes, "edges": edges}, variables=who)
    path = f"requests/{request['id']}/events/"
    refused = placet.post("olivia", path, {"name": "picked", "payload": {"who": "ghost"}}, expect=422)
    assert pointers(refused) == ["/payload/who"]
    request = placet.post("olivia", path, {"name": "picked", "payload": {"who": "max"}})
    assert set(open_tasks(request)) == {"max"}
