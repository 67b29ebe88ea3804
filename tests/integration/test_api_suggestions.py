"""Suggestions over HTTP: made by hand with proofs and a backtest, listed, accepted as drafts, and rejected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from api.routes.examples import EXPENSE_APPROVAL
from storage.database import Database
from storage.recording.metrics import totals
from tests.api_desk import ApiDesk, pointers, working_desk
from tests.approvals import EXPENSE

SUGGESTIONS = "/workflow/workflow-suggestions/"
TEMPLATES = "/workflow/process-templates/"
FASTER = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 12}]


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client) as opened:
        yield opened


async def suggested(desk: ApiDesk, template: str, patch: Any = FASTER, **more: Any) -> dict[str, Any]:
    body = {"template": template, "title": "Faster", "description": "Half the time is enough.", "patch": patch, **more}
    answer = await desk.post(SUGGESTIONS, body, as_="desi")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def approved(desk: ApiDesk, template: str, count: int) -> list[str]:
    """Have requests approved, and return their ids."""
    ids = []
    for number in range(count):
        request = await desk.start(template, amount=str(10 + number))
        (task,) = request["tasks"]
        answer = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
        assert answer.status_code == 200, answer.text
        ids.append(request["id"])
    return ids


async def test_a_suggestion_by_hand_has_its_findings_its_backtest_and_the_changed_blueprint(desk: ApiDesk) -> None:
    name = await desk.publish()
    await approved(desk, name, 3)
    before = (await desk.database.read(totals)).values["workflow_suggestion_total"][("person",)]
    made = await suggested(desk, name)
    assert (made["source"], made["status"], made["version"]) == ("person", "pending", EXPENSE["version"])
    assert made["created_by"] == "user:desi"
    assert made["patch"] == FASTER
    assert made["blueprint"]["process_steps"][0]["sla_hours"] == 12
    assert made["findings"] == [] or {finding["severity"] for finding in made["findings"]} == {"warning"}
    # Desi sees none of the requests: they are counted, and nothing of them is told.
    assert made["backtest"]["left_out"] == 3
    assert made["supporting_data"]["count"] == 0
    assert made["confidence"] == 0
    assert (made["review_notes"], made["reviewed_by"], made["reviewed_at"], made["draft"]) == (None,) * 4
    assert (await desk.get(f"{SUGGESTIONS}{made['id']}/", as_="audrey")).json() == made
    after = (await desk.database.read(totals)).values["workflow_suggestion_total"][("person",)]
    assert after == before + 1


async def test_the_backtest_compares_the_requests_that_whoever_suggests_may_see(desk: ApiDesk) -> None:
    name = await desk.publish()
    await approved(desk, name, 3)
    answer = await desk.post(SUGGESTIONS, {"template": name, "title": "Faster", "patch": FASTER}, as_="adam")
    made = answer.json()
    assert made["backtest"]["totals"]["known"] == made["supporting_data"]["count"] == 3
    assert made["backtest"]["totals"]["outcome_changed"]["count"] == 0
    assert made["confidence"] == pytest.approx(0.4385, abs=1e-4)  # Wilson's lower bound of 3 of 3
    assert "rows" not in made["backtest"]


async def test_accepting_drafts_the_next_version_which_is_published_and_used(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    answer = await desk.post(f"{SUGGESTIONS}{made['id']}/accept/", {"notes": "Agreed."}, as_="adam")
    assert answer.status_code == 200, answer.text
    accepted = answer.json()
    assert (accepted["status"], accepted["review_notes"]) == ("accepted", "Agreed.")
    assert accepted["reviewed_by"] == "user:adam"
    draft = accepted["draft"]
    assert draft == {"id": draft["id"], "name": name, "version": "1.1.0", "status": "draft"}
    published = await desk.post(f"{TEMPLATES}{draft['id']}/publish/", as_="desi")
    assert published.status_code == 200, published.text
    request = await desk.start(name, amount="20")
    assert request["version"] == "1.1.0"
    again = (await desk.get(f"{SUGGESTIONS}{made['id']}/", as_="desi")).json()
    assert again["draft"]["status"] == "published"


async def test_what_was_reviewed_stays_so(desk: ApiDesk) -> None:
    name = await desk.publish()
    one, other = await suggested(desk, name), await suggested(desk, name)
    rejected = await desk.post(f"{SUGGESTIONS}{one['id']}/reject/", {"notes": "Too short."}, as_="desi")
    assert rejected.status_code == 200
    assert (rejected.json()["status"], rejected.json()["draft"]) == ("rejected", None)
    assert (await desk.post(f"{SUGGESTIONS}{other['id']}/accept/", as_="desi")).status_code == 200
    for ident, status in ((one["id"], "rejected"), (other["id"], "accepted")):
        for act in ("accept", "reject"):
            answer = await desk.post(f"{SUGGESTIONS}{ident}/{act}/", {"notes": "Changed my mind."}, as_="adam")
            assert answer.status_code == 409
            assert f"{status} by user:desi" in answer.json()["detail"]
    kept = (await desk.get(f"{SUGGESTIONS}{one['id']}/", as_="desi")).json()
    assert (kept["review_notes"], kept["reviewed_by"]) == ("Too short.", "user:desi")
    drafts = (await desk.get(f"{TEMPLATES}?name={name}&status=draft", as_="desi")).json()["items"]
    assert [draft["version"] for draft in drafts] == ["1.1.0"]


async def test_drafts_of_suggestions_have_numbers_of_their_own_and_keep_what_was_published_since(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    longer = [{"op": "replace", "path": "/process_steps/1/sla_hours", "value": 96}]
    one, two = await suggested(desk, name), await suggested(desk, name, longer)
    same = await suggested(desk, name, [{**FASTER[0], "value": 6}])
    first = (await desk.post(f"{SUGGESTIONS}{one['id']}/accept/", as_="desi")).json()["draft"]
    assert (await desk.post(f"{TEMPLATES}{first['id']}/publish/", as_="desi")).status_code == 200
    second = (await desk.post(f"{SUGGESTIONS}{two['id']}/accept/", as_="desi")).json()["draft"]
    assert (first["version"], second["version"]) == ("1.1.0", "1.2.0")
    whole = (await desk.get(f"{TEMPLATES}{second['id']}/", as_="desi")).json()["blueprint"]
    assert [step["sla_hours"] for step in whole["process_steps"]] == [12, 96]
    refused = await desk.post(f"{SUGGESTIONS}{same['id']}/accept/", as_="desi")
    assert refused.status_code == 409
    assert "/process_steps/0/sla_hours" in refused.json()["detail"]
    assert (await desk.get(f"{SUGGESTIONS}{same['id']}/", as_="desi")).json()["status"] == "pending"


async def test_a_suggestion_that_the_proofs_refuse_says_so_and_is_not_published(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    made = await suggested(desk, name, [{"op": "replace", "path": "/process_steps/0/quorum", "value": {"at_least": 3}}])
    assert "error" in {finding["severity"] for finding in made["findings"]}
    draft = (await desk.post(f"{SUGGESTIONS}{made['id']}/accept/", as_="desi")).json()["draft"]
    published = await desk.post(f"{TEMPLATES}{draft['id']}/publish/", as_="desi")
    assert published.status_code == 422


async def test_what_is_no_blueprint_is_kept_as_a_suggestion_and_cannot_be_accepted(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name, [{"op": "remove", "path": "/process_steps"}])
    assert {finding["severity"] for finding in made["findings"]} >= {"error"}
    assert "error" in made["backtest"]
    answer = await desk.post(f"{SUGGESTIONS}{made['id']}/accept/", as_="desi")
    assert answer.status_code == 422
    assert (await desk.get(f"{SUGGESTIONS}{made['id']}/", as_="desi")).json()["status"] == "pending"


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ("no list", "/patch"),
        ([], "/patch"),
        ([{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 24}], "/patch"),  # it is 24 already
        ([{"op": "replace", "path": "/name", "value": "Other"}], "/patch"),
        ([{"op": "reverse", "path": "/x"}], "/patch/0/op"),
        ([{"op": "remove", "path": "/nowhere"}], "/patch/0"),
        ([FASTER[0], {"op": "add", "path": "/process_steps/9/x", "value": 1}], "/patch/1"),
        ([{"op": "add", "path": "/name/x", "value": 1}], "/patch/0"),
        ([{"op": "add", "path": "no slash", "value": 1}], "/patch/0"),
        ([{"op": "test", "path": "/version", "value": "9.9.9"}], "/patch/0"),
        ([{"op": "add", "path": "/x"}], "/patch/0"),
        ([{"op": "move", "path": "/x"}], "/patch/0"),
        ([{"op": "move", "origin": "/owner", "path": "/x"}], "/patch/0/origin"),
        ([{"op": "move", "from": "/process_steps", "path": "/process_steps/0"}], "/patch/0"),
        ([{"op": "replace", "path": "", "value": 1}], "/patch"),
        ([{"op": "remove", "path": ""}], "/patch/0"),
        (
            [
                {"op": "add", "path": "/x", "value": []},
                *({"op": "copy", "from": "", "path": "/x/-"} for _ in range(40)),
            ],
            "",
        ),
        ([{"op": "remove", "path": f"/{n}"} for n in range(1001)], "/patch"),
    ],
)
async def test_a_patch_that_cannot_be_applied_is_refused_with_its_place(
    desk: ApiDesk, patch: Any, pointer: str
) -> None:
    name = await desk.publish()
    body = {"template": name, "title": "Faster", "description": "", "patch": patch}
    answer = await desk.post(SUGGESTIONS, body, as_="desi")
    assert answer.status_code == 422, answer.text
    found = answer.json()["errors"][0]["pointer"]
    assert found == pointer if pointer else found.startswith("/patch/"), answer.text


async def test_every_operation_of_a_json_patch_can_be_used(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    patch = [
        {"op": "test", "path": "/name", "value": name},
        {"op": "copy", "from": "/process_steps/0/sla_hours", "path": "/process_steps/1/sla_hours"},
        {"op": "add", "path": "/description", "value": "Who pays what."},
        {"op": "move", "from": "/description", "path": "/process_steps/0/description"},
    ]
    made = await suggested(desk, name, patch)
    assert made["blueprint"]["process_steps"][1]["sla_hours"] == made["blueprint"]["process_steps"][0]["sla_hours"]
    assert made["blueprint"]["process_steps"][0]["description"] == "Who pays what."
    assert made["patch"] == patch


async def test_an_unknown_process_is_named_at_its_place_with_the_nearest_that_there_is(desk: ApiDesk) -> None:
    name = await desk.publish()
    for template, said in ((f"{name}x", f"did you mean {name!r}"), ("?", "publish it, or name another")):
        body = {"template": template, "title": "Faster", "patch": FASTER}
        for path, sent in ((SUGGESTIONS, body), (f"{SUGGESTIONS}generate/", {"template": template})):
            answer = await desk.post(path, sent, as_="desi")
            assert (answer.status_code, pointers(answer)) == (422, ["/template"]), answer.text
            assert said in answer.json()["detail"]


async def test_suggestions_are_listed_newest_first_by_page_and_filter(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = [(await suggested(desk, name, suggestion_type=kind))["id"] for kind in ("performance", "other", "other")]
    await desk.post(f"{SUGGESTIONS}{made[0]}/reject/", as_="desi")

    async def listed(query: str) -> list[str]:
        ids, cursor = [], ""
        while True:
            page = (await desk.get(f"{SUGGESTIONS}?template={name}&limit=1{query}{cursor}", as_="audrey")).json()
            ids += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return ids
            cursor = f"&cursor={page['next_cursor']}"

    assert await listed("") == made[::-1]
    assert await listed("&status=rejected") == made[:1]
    assert await listed("&suggestion_type=other&source=person") == made[:0:-1]
    assert await listed("&source=rule") == []
    for wrong in ("status=open", "sourc=rule", "cursor=x", "limit=0"):
        assert (await desk.get(f"{SUGGESTIONS}?{wrong}", as_="desi")).status_code == 422, wrong


async def test_suggestions_are_made_and_reviewed_by_designers_and_admins_and_read_by_auditors(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    body = {"template": name, "title": "Faster", "patch": FASTER}
    for person in ("ann", "ava", "rex"):
        assert (await desk.get(SUGGESTIONS, as_=person)).status_code == 403
        assert (await desk.get(f"{SUGGESTIONS}{made['id']}/", as_=person)).status_code == 403
    for person in ("ann", "ava", "rex", "audrey"):
        assert (await desk.post(SUGGESTIONS, body, as_=person)).status_code == 403
        for act in ("accept", "reject"):
            assert (await desk.post(f"{SUGGESTIONS}{made['id']}/{act}/", as_=person)).status_code == 403
    assert (await desk.get(f"{SUGGESTIONS}nothing/", as_="desi")).status_code == 404
    assert (await desk.post(f"{SUGGESTIONS}nothing/accept/", as_="desi")).status_code == 404


async def test_a_repeated_call_makes_one_suggestion(desk: ApiDesk) -> None:
    name = await desk.publish()
    body = {"template": name, "title": "Faster", "description": "", "patch": FASTER}
    answers = [await desk.post(SUGGESTIONS, body, as_="desi", key="one") for _ in "12"]
    assert answers[0].json() == answers[1].json()
    assert len((await desk.get(f"{SUGGESTIONS}?template={name}", as_="desi")).json()["items"]) == 1
