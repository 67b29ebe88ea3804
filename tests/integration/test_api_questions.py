"""Questions to the requester over HTTP and on pages: asked, answered, listed, and refused."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from storage.tables.approvals import Outbox
from tests.api_desk import ApiDesk, pointers
from tests.approvals import EXPENSE
from tests.stored import reading
from tests.web_desk import browser_of


async def asked(desk: ApiDesk, text: str = "Which <hotel>?") -> dict[str, Any]:
    """Return a request of ann's about which bob has asked something."""
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    answer = await desk.post(f"/workflow/requests/{request['id']}/questions/", {"text": text}, as_="bob", key="q")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def mine_to_answer(desk: ApiDesk, person: str) -> list[str]:
    answer = await desk.get("/workflow/requests/?waits_for_answer=true", as_=person)
    return [one["id"] for one in answer.json()["items"]]


async def test_a_question_is_asked_and_answered_while_the_request_goes_on(desk: ApiDesk) -> None:
    request = await asked(desk)
    address = f"/workflow/requests/{request['id']}"
    (question,) = request["questions"]
    assert question | {"asked_at": ""} == {
        "n": 1,
        "task_id": request["tasks"][0]["id"],
        "asked_by": "user:bob",
        "asked_at": "",
        "text": "Which <hotel>?",
        "answered_at": None,
        "answer": None,
    }
    assert (request["status"], request["returned"], request["stage"]) == (
        "pending",
        False,
        request["tasks"][0]["stage"],
    )
    repeated = await desk.post(f"{address}/questions/", {"text": "Which <hotel>?"}, as_="bob", key="q")
    assert len(repeated.json()["questions"]) == 1
    assert await mine_to_answer(desk, "ann") == [request["id"]]
    assert await mine_to_answer(desk, "bob") == await mine_to_answer(desk, "adam") == []
    answer = await desk.post(f"{address}/questions/1/answer/", {"text": "At the fair."}, key="a")
    assert answer.status_code == 200, answer.text
    (question,) = answer.json()["questions"]
    assert question["answer"] == "At the fair."
    assert question["answered_at"] > question["asked_at"]
    assert await mine_to_answer(desk, "ann") == []
    again = await desk.post(f"{address}/questions/1/answer/", {"text": "At the fair."}, key="a")
    assert again.json()["questions"] == [question]
    items = (await desk.get(f"{address}/timeline/")).json()["items"]
    said = {one["kind"]: (one["actor"], one["detail"]["why"], one["detail"]["question"]) for one in items[-2:]}
    assert said == {
        "question_asked": ("user:bob", "Which <hotel>?", 1),
        "question_answered": ("user:ann", "At the fair.", 1),
    }
    assert (await desk.get(f"{address}/audit/verify/")).json()["ok"]
    (listed,) = (await desk.get("/workflow/requests/")).json()["items"]
    assert listed["questions"] == [question]


REFUSED: list[tuple[str, dict[str, Any], str, int]] = [
    ("questions/", {"text": "why?"}, "ann", 403),  # of herself
    ("questions/", {"text": "why?"}, "zoe", 404),  # who does not see it
    ("questions/", {"text": "why?"}, "audrey", 403),  # who only reads
    ("questions/", {"text": " "}, "bob", 422),
    ("questions/", {"text": "x" * 2001}, "bob", 422),
    ("questions/", {"text": "why?", "task_id": "none.1"}, "bob", 404),
    ("questions/1/answer/", {"text": "so"}, "bob", 403),  # whose question it is
    ("questions/1/answer/", {"text": "so"}, "adam", 403),
    ("questions/1/answer/", {"text": "so"}, "zoe", 404),
    ("questions/0/answer/", {"text": "so"}, "ann", 404),
    ("questions/2/answer/", {"text": "so"}, "ann", 404),
    ("questions/1/answer/", {"text": ""}, "ann", 422),
    ("questions/x/answer/", {"text": "so"}, "ann", 422),
]


async def test_who_may_not_ask_or_answer_is_told(desk: ApiDesk) -> None:
    request = await asked(desk)
    for path, body, person, status in REFUSED:
        refused = await desk.post(f"/workflow/requests/{request['id']}/{path}", body, as_=person)
        assert refused.status_code == status, (path, person, refused.text)
        if status == 422 and "x/" not in path:
            assert pointers(refused) == ["/text"]
    after = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
    assert after["questions"] == request["questions"]


async def test_an_answered_question_and_one_of_a_request_that_has_ended_take_no_answer(desk: ApiDesk) -> None:
    request = await asked(desk)
    address = f"/workflow/requests/{request['id']}"
    assert (await desk.post(f"{address}/questions/1/answer/", {"text": "so"})).status_code == 200
    again = await desk.post(f"{address}/questions/1/answer/", {"text": "no"})
    assert (again.status_code, again.json()["reason"]) == (409, "refused")
    open_one = await desk.post(f"{address}/questions/", {"text": "and?"}, as_="olivia")
    assert open_one.json()["questions"][1]["task_id"] is None  # the owner has no task
    assert (await desk.post(f"{address}/withdraw/")).status_code == 200
    late = await desk.post(f"{address}/questions/2/answer/", {"text": "so"})
    assert (late.status_code, late.json()["reason"]) == (409, "ended")
    assert await mine_to_answer(desk, "ann") == []


async def test_the_pages_lead_from_the_question_to_its_answer(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    task = request["tasks"][0]["id"]
    async with browser_of(desk, "bob") as bob, browser_of(desk, "ann") as ann:
        page = (await bob.get(f"/tasks/{task}")).text
        assert 'name="task" value="' + task in page
        sent = await bob.post(
            f"/requests/{request['id']}/questions",
            {"text": "Which <b>hotel</b>?", "task": task, "back": f"/tasks/{task}#questions"},
        )
        assert sent.headers["location"] == f"/tasks/{task}?done=ask#questions"
        page = (await bob.get(f"/tasks/{task}")).text
        assert "Not answered yet" in page
        assert "Which &lt;b&gt;hotel&lt;/b&gt;?" in page
        assert "A request waits for your answer" in (await ann.get("/")).text
        listed = (await ann.get("/requests?whose=answer")).text
        assert request["title"] in listed
        assert "a question is open" in listed
        page = (await ann.get(f"/requests/{request['id']}")).text
        assert page.index("A question waits for your answer") < page.index("What is asked for")
        assert re.search(r'<textarea id="answer-1"', page)
        await ann.post(f"/requests/{request['id']}/questions/1", {"text": "At the fair."})
        assert "At the fair." in (await bob.get(f"/tasks/{task}")).text
        page = (await ann.get(f"/requests/{request['id']}")).text
        assert "waits for your answer" not in page
        assert "No request waits for your answer" in (await ann.get("/requests?whose=answer")).text
        refused = await bob.post(f"/requests/{request['id']}/questions/1", {"text": "myself"})
        assert refused.status_code == 403


async def test_a_requester_reminds_once_a_day_and_the_page_says_when_again(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    address = f"/workflow/requests/{request['id']}/remind/"
    assert (await desk.post(address, as_="bob")).status_code == 403
    assert (await desk.post(address, as_="zoe")).status_code == 404
    async with browser_of(desk, "ann") as ann:
        assert "Remind them" in (await ann.get(f"/requests/{request['id']}")).text
        for _ in range(2):  # the same key
            assert (await desk.post(address, key="r")).status_code == 200
        early = await desk.post(address)
        assert early.status_code == 429
        assert 86_000 < int(early.headers["Retry-After"]) <= 86_400
        assert early.json()["again_at"].endswith("Z")
        assert (await ann.post(f"/requests/{request['id']}/remind", {})).status_code == 429
        page = (await ann.get(f"/requests/{request['id']}")).text
        assert re.search(r'disabled aria-describedby="no-reminder">Remind them</button>.*you can again from', page)
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    (entry,) = (one for one in items if one["kind"] == "reminded")
    assert (entry["actor"], entry["detail"]["to"]) == ("user:ann", ["user:bob"])


async def test_a_mention_tells_who_may_see_the_request_and_the_writer_who_was_not_told(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    address = f"/workflow/requests/{request['id']}"
    text = "@bob and @olivia, @zoe, @nobody: <look>"
    async with browser_of(desk, "ann") as ann:
        sent = await ann.post(f"/requests/{request['id']}/comment", {"text": text})
        location = sent.headers["location"]
        assert location == f"/requests/{request['id']}?untold=zoe%2Cnobody&done=comment#conversation"
        page = (await ann.get(location)).text
        assert "Zoe was not told, and may not see this request." in page
        assert "Nobody has the id nobody." in page
        assert "was not told" not in (await ann.get(f"/requests/{request['id']}")).text
    items = (await desk.get(f"{address}/timeline/")).json()["items"]
    (entry,) = (one for one in items if one["kind"] == "commented")
    assert entry["detail"]["mentioned"] == ["user:bob", "user:olivia"]
    with reading(desk.database) as session:
        rows = session.execute(select(col(Outbox.person)).where(col(Outbox.event) == "mentioned")).scalars().all()
    assert sorted(rows) == ["bob", "olivia"]
    assert (await desk.get(f"{address}/", as_="zoe")).status_code == 404  # a mention lets nobody see


async def test_the_page_says_why_nobody_is_reminded_while_a_request_is_returned_or_a_decision_may_be_undone(
    desk: ApiDesk,
) -> None:
    step = {"stage_name": "Manager", "approvers": ["user:bob"]}
    returned = await desk.start(await desk.publish(EXPENSE, process_steps=[step]), amount="10")
    undoable = await desk.start(await desk.publish(EXPENSE, process_steps=[step | {"undo_seconds": 600}]), amount="10")
    for request, decision, reason in (
        (returned, {"decision": "request_changes", "comment": "less"}, "The request is with you for changes"),
        (undoable, {"decision": "approve"}, "A decision may still be undone until"),
    ):
        task = request["tasks"][0]["id"]
        answer = await desk.post(f"/workflow/tasks/{task}/decide/", decision, as_="bob")
        assert answer.status_code == 200, answer.text
        assert (await desk.post(f"/workflow/requests/{request['id']}/remind/")).status_code == 409
        async with browser_of(desk, "ann") as ann:
            page = (await ann.get(f"/requests/{request['id']}")).text
        assert re.search(rf"disabled[^>]*>Remind them</button>[^\n]*{reason}", page)
