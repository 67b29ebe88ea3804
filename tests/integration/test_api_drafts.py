"""Drafts of blueprints over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
import pytest_asyncio

from api.routes.examples import EXPENSE_APPROVAL
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers

PATH = "/workflow/blueprint-drafts/"
# Nobody is asked above 5,000: the gap that somebody is to see, and to mend.
GAP: dict[str, Any] = {
    "name": "Purchase",
    "version": "1.0.0",
    "variables": [{"name": "amount", "type": "decimal", "required": True, "minimum": 0}],
    "process_steps": [{"stage_name": "Manager", "approvers": ["manager_of(requester)"]}],
    "graph_spec": {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "route", "type": "decision"},
            {"id": "manager", "type": "approval", "step": "Manager"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "route"},
            {"from": "route", "to": "manager", "condition": "amount <= 5000"},
            {"from": "manager", "to": "yes", "on": "approved"},
            {"from": "manager", "to": "no", "on": "rejected"},
        ],
    },
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def created(desk: ApiDesk, content: Any = EXPENSE_APPROVAL) -> dict[str, Any]:
    made = await desk.post(PATH, {"content": content}, as_="desi")
    assert made.status_code == 201, made.text
    return dict(made.json())


async def test_a_gap_is_found_with_its_witness_mended_explored_and_published(desk: ApiDesk) -> None:
    draft = await created(desk, GAP)
    one = f"{PATH}{draft['id']}/"
    seen = (await desk.get(f"{one}analysis/", as_="desi")).json()
    (gap,) = [finding for finding in seen["findings"] if finding["code"] == "gap"]
    assert (seen["ok"], seen["publishable"], seen["against"]) == (False, False, None)
    assert float(gap["witness"]["amount"]) > 5000
    assert gap["pointer"] in [obstacle["pointer"] for obstacle in seen["obstacles"]]
    refused = await desk.post(f"{one}publish/", as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, [gap["pointer"]])

    patch = [{"op": "add", "path": "/graph_spec/edges/-", "value": {"from": "route", "to": "no", "default": True}}]
    saved = await desk.call("PUT", one, as_="desi", body={"revision": 1, "patch": patch})
    assert (saved.status_code, saved.json()["revision"], saved.json()["merged"]) == (200, 2, [])
    assert (await desk.get(f"{one}analysis/", as_="desi")).json()["publishable"]
    explored = await desk.post(f"{one}explore/", {"input": gap["witness"]}, as_="desi")
    assert (explored.status_code, explored.json()["status"]) == (201, "completed")
    done = await desk.post(f"{one}publish/", {"revision": 2}, as_="desi")
    assert done.status_code == 200, done.text
    assert (done.json()["draft"]["status"], done.json()["template"]["status"]) == ("published", "published")
    acts = (await desk.get(f"{one}acts/", as_="audrey")).json()["items"]
    assert [(act["act"], act["by"]) for act in acts][-1] == ("published", "user:desi")


async def test_who_saves_after_somebody_else_is_told_what_both_did(desk: ApiDesk) -> None:
    one = f"{PATH}{(await created(desk))['id']}/"
    theirs = {**deepcopy(EXPENSE_APPROVAL), "owner": "user:bob"}
    mine = {**deepcopy(EXPENSE_APPROVAL), "owner": "user:carl", "version": "1.1.0"}
    assert (await desk.call("PUT", one, as_="adam", body={"revision": 1, "content": theirs})).status_code == 200
    told = await desk.call("PUT", one, as_="desi", body={"revision": 1, "content": mine})
    problem = told.json()
    assert (told.status_code, problem["reason"], problem["type"]) == (
        409,
        "draft_changed",
        "urn:placet:problem:draft-changed",
    )
    assert (problem["changed_by"], problem["revision"], problem["content"]) == ("user:adam", 2, theirs)
    assert [change["pointer"] for change in problem["difference"]] == ["/owner"]
    (conflict,) = problem["conflicts"]
    assert conflict == {
        "pointer": "/owner",
        "base": EXPENSE_APPROVAL["owner"],
        "theirs": "user:bob",
        "mine": "user:carl",
    }
    assert problem["merged"] == {"theirs": {**mine, "owner": "user:bob"}, "mine": mine}
    merged = await desk.call("PUT", one, as_="desi", body={"revision": 1, "content": {**mine, "owner": "user:bob"}})
    assert (merged.status_code, merged.json()["merged_by"]) == (200, "user:adam")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/content"),
        ({"content": []}, "/content"),
        ({"content": "text"}, "/content"),
        ({"content": {"a": 1}, "based_on": {"process": "x"}}, "/content"),
        ({"content": {"a": 10**20}}, "/content/a"),
        ({"content": {}, "colour": "red"}, "/colour"),
        ({"based_on": {}}, "/based_on/process"),
    ],
)
async def test_what_cannot_be_a_draft_is_refused_at_its_place(desk: ApiDesk, body: Any, place: str) -> None:
    answer = await desk.post(PATH, body, as_="desi")
    assert (answer.status_code, pointers(answer)) == (422, [place]), answer.text


async def test_too_deep_and_too_large_contents_are_refused(desk: ApiDesk) -> None:
    deep = b'{"content": ' + b'{"a": ' * 80 + b"1" + b"}" * 81
    assert (await desk.call("POST", PATH, as_="desi", content=deep)).status_code == 422
    large = b'{"content": {"a": "' + b"y" * 1_100_000 + b'"}}'
    assert (await desk.call("POST", PATH, as_="desi", content=large)).status_code == 413


async def test_a_repeated_call_makes_one_draft(desk: ApiDesk) -> None:
    made = [await desk.post(PATH, {"content": {"name": "A"}}, as_="desi", key="once") for _ in range(2)]
    assert made[0].json() == made[1].json()
    assert len((await desk.get(PATH, as_="desi")).json()["items"]) == 1


async def test_drafts_are_read_by_auditors_and_by_nobody_who_does_not_design(desk: ApiDesk) -> None:
    draft = await created(desk)
    one = f"{PATH}{draft['id']}/"
    for person, status in (("ann", 403), ("nil", 403), ("audrey", 200), ("adam", 200)):
        for path in (PATH, one, f"{one}analysis/", f"{one}export/"):
            assert (await desk.get(path, as_=person)).status_code == status, (person, path)
    for path in ("submit/", "publish/", "reopen/", "discard/"):
        assert (await desk.post(one + path, as_="audrey")).status_code == 403
    assert (await desk.get(f"{one}export/", as_="desi")).json() == EXPENSE_APPROVAL
    listed = (await desk.get(f"{PATH}?status=open&process={draft['name']}", as_="audrey")).json()["items"]
    assert [(row["id"], row["version"], "content" in row) for row in listed] == [(draft["id"], "1.0.0", False)]


async def test_a_bpmn_file_becomes_a_draft_with_what_became_of_its_elements(desk: ApiDesk) -> None:
    bpmn = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p" name="Leave">
      <startEvent id="s"/><userTask id="t" name="Approve"/><endEvent id="e"/>
      <sequenceFlow id="a" sourceRef="s" targetRef="t"/><sequenceFlow id="b" sourceRef="t" targetRef="e"/>
    </process></definitions>"""
    made = await desk.post(f"{PATH}import/", {"bpmn": bpmn}, as_="desi")
    assert made.status_code == 201, made.text
    assert made.json()["draft"]["name"] == "Leave"
    assert {"t", "a", "b"} <= {one["id"] for one in made.json()["left"]}
    ident = made.json()["draft"]["id"]
    body = {"blueprint": EXPENSE_APPROVAL, "draft_id": ident}
    assert pointers(await desk.post(f"{PATH}import/", body, as_="desi")) == ["/revision"]
    into = await desk.post(f"{PATH}import/", {**body, "revision": 1}, as_="desi")
    assert (into.json()["draft"]["id"], into.json()["draft"]["content"]) == (ident, EXPENSE_APPROVAL)


async def test_a_draft_goes_its_way_and_back(desk: ApiDesk) -> None:
    one = f"{PATH}{(await created(desk))['id']}/"
    assert (await desk.post(f"{one}submit/", {"revision": 1}, as_="desi")).json()["status"] == "submitted"
    assert (await desk.call("PUT", one, as_="desi", body={"revision": 1, "content": {}})).status_code == 409
    assert (await desk.post(f"{one}reopen/", as_="adam")).json()["status"] == "open"
    assert (await desk.post(f"{one}discard/", as_="desi")).json()["status"] == "discarded"
    assert (await desk.post(f"{one}publish/", as_="desi")).status_code == 409
    assert (await desk.get(f"{PATH}unknown/", as_="desi")).status_code == 404
