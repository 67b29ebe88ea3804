"""What callers see of a request whose content was erased: who did what and when, and a chain that holds."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from storage.retention.erasure import TITLE, erase_content
from tests.api_desk import ApiDesk
from tests.stored import writing
from tests.waiting import until


async def test_erased_request_verifies_against_the_engine_and_shows_no_content(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/requests/{request['id']}/"
    decision = {"decision": "reject", "comment": "too dear"}
    decided = await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", decision, as_="bob")
    assert decided.json()["outcome"] == "rejected"
    with writing(desk.database) as session:
        assert erase_content(session.connection(), request["id"], datetime.now(UTC)).values

    checked = (await desk.get(f"{path}audit/verify/")).json()
    assert checked["ok"] is True
    assert checked["head"] == checked["engine_head"]
    shown = (await desk.get(path)).json()
    assert (shown["title"], shown["outcome"], shown["content_digest"]) == (TITLE, "rejected", None)
    items = (await desk.get(f"{path}timeline/")).json()["items"]
    line = next(item for item in items if item["kind"] == "decided")
    assert (line["actor"], line["detail"]["decision"], line["detail"]["why"]) == ("user:bob", "reject", None)
    assert "/why" in line["detail"]["erased"]


async def test_no_simulation_is_made_of_what_was_erased(desk: ApiDesk) -> None:
    name = await desk.publish()
    request = await desk.start(name, amount=1)
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "reject"}, as_="bob")
    with writing(desk.database) as session:
        erase_content(session.connection(), request["id"], datetime.now(UTC))
    order = {"mode": "replay", "request_id": request["id"]}
    ordered = (await desk.post("/workflow/workflow-simulations/", order, as_="audrey")).json()

    async def ended() -> httpx.Response | None:
        found = await desk.get(f"/workflow/workflow-simulations/{ordered['id']}/", as_="audrey")
        return found if found.json()["status"] != "running" else None

    found = await until(ended, what="the end of the simulation")
    assert found.json()["status"] == "failed"
    assert "was erased" in found.text
