"""Contents of requests are erased once they were kept long enough, by rules of processes; chains and files follow."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text, update
from temporalio.client import Client

from placet.errors import Unavailable
from service.attachments.store import FileStore
from service.retention.periods import Periods
from service.retention.running import erase_old_contents
from storage.database import Database
from storage.queries import retention
from storage.recording import admin_acts
from storage.recording.verify import verify_rows
from storage.retention.erasure import TITLE
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import ApprovalRequest
from storage.tables.reading import RequestTitle
from storage.tables.retention import ErasedFile, KeptContent
from tests.api_desk import ApiDesk, context_of, pointers, working_desk
from tests.approvals import EXPENSE
from tests.pages import browser_of, send
from tests.stored import reading, writing

PATH = "/workflow/retention-rules/"
CONTENT = "Zanzibar"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files")) as opened:
        yield opened


async def rejected(desk: ApiDesk, template: str, *, file: bytes | None = None) -> str:
    """Have a request rejected, and return its id."""
    body = {"template": template, "title": f"Trip to {CONTENT}", "input": {"amount": "100"}}
    request = (await desk.post("/workflow/requests/", body)).json()
    if file is not None:
        token = await desk.token("ann")
        sent = {"file": ("a.pdf", file, "application/pdf")}
        address = f"/api/v1/workflow/requests/{request['id']}/attachments/"
        answer = await desk.http.post(address, files=sent, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
    decision = {"decision": "reject", "comment": f"not {CONTENT}"}
    decided = await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", decision, as_="bob")
    assert decided.json()["outcome"] == "rejected", decided.text
    return str(request["id"])


async def erase(desk: ApiDesk, contents: int | None = None, *, later: int, files: FileStore | None = None) -> None:
    """Erase what is due so many days later."""
    context, at = context_of(desk), datetime.now(UTC) + timedelta(days=later)
    await erase_old_contents(desk.database, files or context.files, Periods(contents=contents), at)


def titles(desk: ApiDesk) -> dict[str, str]:
    with reading(desk.database) as session:
        return {row.id: row.title for row in session.execute(select(ApprovalRequest.id, ApprovalRequest.title))}


async def test_a_rule_of_a_process_goes_before_what_holds_for_all(desk: ApiDesk) -> None:
    short, usual, lasting = await desk.publish(), await desk.publish(), await desk.publish()
    for template, days in ((short, 30), (lasting, None)):
        set_ = await desk.post(PATH, {"template": template, "content_days": days}, as_="adam")
        assert set_.status_code == 201, set_.text
    ended = {name: await rejected(desk, name) for name in (short, usual, lasting)}
    running = await desk.start(short, amount=100)
    await erase(desk, 365, later=40)
    assert {ident for ident, title in titles(desk).items() if title == TITLE} == {ended[short]}
    await erase(desk, 365, later=400)
    erased = {ident for ident, title in titles(desk).items() if title == TITLE}
    assert erased == {ended[short], ended[usual]}
    assert running["id"] in titles(desk)
    listed = (await desk.get(PATH, as_="audrey")).json()["items"]
    assert sorted((rule["template"], rule["content_days"]) for rule in listed) == sorted([(short, 30), (lasting, None)])
    (rule,) = [one for one in listed if one["template"] == lasting]
    removed = await desk.call("DELETE", f"{PATH}{rule['id']}/", as_="adam")
    assert removed.json()["content_days"] is None
    await erase(desk, 365, later=400)
    assert {ident for ident, title in titles(desk).items() if title == TITLE} == erased | {ended[lasting]}


async def test_chains_log_and_acts_hold_and_content_is_gone_from_rows_search_and_files(
    desk: ApiDesk, tmp_path: Path
) -> None:
    template = await desk.publish()
    request = await rejected(desk, template, file=PDF + CONTENT.encode())
    stored = tmp_path / "files" / request / hashlib.sha256(PDF + CONTENT.encode()).hexdigest()
    assert stored.exists()
    await erase(desk, 1, later=2)
    assert not stored.exists()
    with reading(desk.database) as session:
        assert verify_rows(session.connection(), request)["ok"]
        assert session.scalars(select(RequestTitle.folded)).all() == [TITLE]
        assert session.execute(select(func.count()).select_from(ErasedFile)).scalar_one() == 0
        for table in ("approval_request", "approval_task", "audit_entry", "outbox", "delivery", "request_title"):
            rows = session.execute(text(f"SELECT * FROM {table}")).all()
            assert CONTENT not in repr(rows), table
            assert CONTENT.lower() not in repr(rows), table
        (act,) = session.scalars(select(AdminAct).where(AdminAct.kind == "contents_erased")).all()  # type: ignore[arg-type]  # a column
    assert (act.actor, act.target, act.outcome) == ("system", f"process:{template}", "done")
    assert (act.detail["erased"], act.detail["kept"]) == (1, 0)
    assert (await desk.database.read(admin_acts.verify))["ok"]
    checked = (await desk.get(f"/workflow/requests/{request}/audit/verify/")).json()
    assert (checked["ok"], checked["head"] == checked["engine_head"]) == (True, True)
    again = await desk.database.read(retention.runs)
    assert (again["contents"].rows, again["contents"].total) == (1, 1)
    await erase(desk, 1, later=2)
    assert (await desk.database.read(retention.runs))["contents"].total == 1


async def test_files_that_the_store_does_not_give_up_are_deleted_by_the_next_run(
    desk: ApiDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await rejected(desk, await desk.publish(), file=PDF)
    files = context_of(desk).files

    async def away(self: FileStore, request_id: str, sha256: str) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "delete", away)
        with pytest.raises(Unavailable):
            await erase(desk, 1, later=2)
    assert titles(desk)[request] == TITLE
    assert await files.holds(request, hashlib.sha256(PDF).hexdigest(), len(PDF))
    await erase(desk, 1, later=2)
    assert not await files.holds(request, hashlib.sha256(PDF).hexdigest(), len(PDF))


async def test_a_request_that_cannot_be_erased_is_noted_and_holds_up_no_other(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention.contents.BATCH", 2)
    template = await desk.publish()
    broken = [await rejected(desk, template) for number in range(3)]
    sound = [await rejected(desk, template) for _ in range(2)]
    with writing(desk.database) as session:
        session.execute(text("UPDATE audit_entry SET actor = 'user:eve' WHERE seq = 1"))
        for ident in sound:
            session.execute(
                text("UPDATE audit_entry SET actor = 'user:ann' WHERE seq = 1 AND request_id = :ident"),
                {"ident": ident},
            )
    await erase(desk, 1, later=2)
    assert {ident for ident, title in titles(desk).items() if title == TITLE} == {*sound}
    number, kept = await desk.database.read(retention.kept, most=2)
    assert (number, len(kept)) == (3, 2)
    assert all("is invalid" in one.reason for one in kept)
    with writing(desk.database) as session:
        session.execute(text("UPDATE audit_entry SET actor = 'user:ann' WHERE seq = 1"))
        session.execute(update(KeptContent).values(tried_at=datetime.now(UTC) - timedelta(days=8)))
    await erase(desk, 1, later=2)
    assert {ident for ident, title in titles(desk).items() if title == TITLE} == {*sound, *broken}
    assert (await desk.database.read(retention.kept, most=1))[0] == 0


async def test_rules_that_are_wrong_are_refused_with_their_place(desk: ApiDesk) -> None:
    name = await desk.publish()
    for body, place in (
        ({"template": "Nothing", "content_days": 3}, "/template"),
        ({"template": name, "content_days": 0}, "/content_days"),
        ({"template": name, "content_days": "3"}, "/content_days"),
        ({"template": name}, "/content_days"),
    ):
        answer = await desk.post(PATH, body, as_="adam")
        assert (answer.status_code, pointers(answer)) == (422, [place]), body
    assert (await desk.post(PATH, {"template": name, "content_days": 3}, as_="desi")).status_code == 403
    assert (await desk.call("DELETE", f"{PATH}none/", as_="adam")).status_code == 404


async def test_the_page_asks_before_anything_is_to_be_erased(desk: ApiDesk) -> None:
    template = await desk.publish(EXPENSE)
    await rejected(desk, template)
    with writing(desk.database) as session:
        session.execute(update(ApprovalRequest).values(ended_at=datetime.now(UTC) - timedelta(days=40)))
    adam = await browser_of(desk, "adam")
    page = await adam.get("/operations/retention")
    assert "PLACET_MESSAGES_DAYS" in page.text
    assert template in page.text

    async def rules() -> dict[str, Any]:
        return {rule["template"]: rule["content_days"] for rule in (await desk.get(PATH, as_="adam")).json()["items"]}

    asked = await send(adam, "/operations/retention", process=template, days="30")
    assert asked.status_code == 200
    assert "This erases the content of one request within an hour" in asked.text
    assert await rules() == {}
    done = await send(adam, "/operations/retention", process=template, days="30", confirmed="yes")
    assert done.status_code == 303
    assert await rules() == {template: 30}
    kept = await send(adam, "/operations/retention", process=template, days="")  # for good: nothing to ask about
    assert kept.status_code == 303
    assert await rules() == {template: None}
    rule = (await desk.get(PATH, as_="adam")).json()["items"][0]["id"]
    assert (await send(adam, "/operations/retention", process=template, remove=rule)).status_code == 303
    assert await rules() == {}
    wrong = await send(adam, "/operations/retention", process=template, days="1.5")
    assert wrong.status_code == 422
    assert "Enter whole days from 1 to 36,500" in wrong.text


async def test_a_claim_that_is_open_is_waited_for(desk: ApiDesk) -> None:
    request = await rejected(desk, await desk.publish())
    with writing(desk.database) as session:
        session.execute(update(ApprovalRequest).values(claim_status="open"))
    await erase(desk, 1, later=2)
    assert titles(desk)[request] != TITLE
    with writing(desk.database) as session:
        session.execute(update(ApprovalRequest).values(claim_status=None))
    await erase(desk, 1, later=2)
    assert titles(desk)[request] == TITLE
