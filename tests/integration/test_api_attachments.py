"""Attachments over HTTP: uploaded, on record, handed out to those who may see the request, and missed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import BASE, ApiDesk, working_desk
from tests.approvals import EXPENSE
from tests.clamd import EICAR, Clamd, clamd
from tests.pages import browser_of, send
from tests.unit.core import blueprint, graph

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
PAGE = b"<!doctype html><html><script>alert(1)</script></html>"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files"), attachment_bytes=5000) as opened:
        yield opened


async def upload(
    desk: ApiDesk,
    request: dict[str, Any],
    content: bytes = PDF,
    *,
    name: str = "offer.pdf",
    as_: str = "ann",
    key: str = "",
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await desk.token(as_)}"} | ({"Idempotency-Key": key} if key else {})
    address = f"{BASE}/workflow/requests/{request['id']}/attachments/"
    declared = "application/pdf" if name.endswith(".pdf") else "application/octet-stream"
    return await desk.http.post(address, files={"file": (name, content, declared)}, headers=headers)


async def test_a_file_is_on_record_with_its_hash_and_makes_a_revision(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    answer = await upload(desk, request)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    sha = hashlib.sha256(PDF).hexdigest()
    assert body | {"uploaded_at": ""} == {
        "n": 1,
        "name": "offer.pdf",
        "media_type": "application/pdf",
        "size": len(PDF),
        "sha256": sha,
        "uploaded_by": "user:ann",
        "uploaded_at": "",
        "revision": 2,
    }
    after = (await desk.get(f"/workflow/requests/{request['id']}/", as_="ann")).json()
    assert after["revision"] == 2
    assert after["content_digest"] != request["content_digest"]
    timeline = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="bob")).json()["items"]
    (entry,) = (one for one in timeline if one["kind"] == "attached")
    assert entry["detail"]["sha256"] == sha
    listed = (await desk.get(f"/workflow/requests/{request['id']}/attachments/", as_="bob")).json()["items"]
    assert listed == [body]


async def test_a_file_is_handed_out_to_whoever_may_see_the_request_and_nothing_in_it_can_run(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await upload(desk, request)
    await upload(desk, request, PAGE, name="page.html", as_="ann")
    address = f"/workflow/requests/{request['id']}/attachments"
    found = await desk.get(f"{address}/1/", as_="bob")
    assert (found.status_code, found.content) == (200, PDF)
    assert "sandbox" in found.headers["content-security-policy"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith("attachment; ")
    shown = await desk.get(f"{address}/1/?view=true", as_="bob")
    assert shown.headers["content-disposition"].startswith("inline; ")
    page = await desk.get(f"{address}/2/?view=true", as_="bob")
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"].startswith("attachment; ")
    assert (await desk.get(f"{address}/1/", as_="zoe")).status_code == 404
    assert (await desk.get(f"{address}/3/", as_="bob")).status_code == 404


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [(b"%PDF-1.7" + bytes(6000), "big.pdf", 413), (bytes(200_000), "huge.pdf", 413), (PAGE, "offer.pdf", 415)],
)
async def test_a_file_that_is_too_large_or_lies_about_its_type_is_refused_and_leaves_nothing(
    desk: ApiDesk, content: bytes, name: str, status: int
) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    refused = await upload(desk, request, content, name=name)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    after = (await desk.get(f"/workflow/requests/{request['id']}/", as_="ann")).json()
    assert after["revision"] == 1


async def test_a_file_with_malware_is_refused_and_nothing_of_it_is_stored(
    database: Database, client: Client, tmp_path: Path
) -> None:
    async with (
        clamd(Clamd()) as place,
        working_desk(database, client, attachments=str(tmp_path / "files"), clamd_url=place) as desk,
    ):
        request = await desk.start(await desk.publish(EXPENSE), amount="10")
        refused = await upload(desk, request, PDF + EICAR)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/file")
        assert "Eicar-Test-Signature" in refused.json()["detail"]
        form = {"file": ("a.pdf", PDF + EICAR)}
        by_page = await send(await browser_of(desk, "ann"), f"/requests/{request['id']}/attachments", files=form)
        assert (by_page.status_code, "Eicar-Test-Signature" in by_page.text) == (422, True)
        assert (await upload(desk, request, PDF)).status_code == 201
    assert [path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file()] == [PDF]


async def test_a_call_without_a_file_says_what_to_send(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    address = f"/workflow/requests/{request['id']}/attachments/"
    plain = await desk.post(address, {"file": "x"}, as_="ann")
    assert plain.status_code == 415
    headers = {"Authorization": f"Bearer {await desk.token('ann')}"}
    empty = await desk.http.post(f"{BASE}{address}", files={"other": ("a.pdf", PDF)}, headers=headers)
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "/file")


async def test_nobody_else_attaches_and_nobody_does_after_a_decision(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    assert (await upload(desk, request, as_="bob")).status_code == 403
    assert (await upload(desk, request, as_="zoe")).status_code == 404
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert (await upload(desk, request)).status_code == 409


async def test_a_repeated_upload_with_the_same_key_is_one_file(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    first, again = [await upload(desk, request, key="once") for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await upload(desk, request, PDF + b"%", key="once")
    assert other.status_code == 422
    listed = (await desk.get(f"/workflow/requests/{request['id']}/attachments/", as_="ann")).json()["items"]
    assert [one["n"] for one in listed] == [1]


async def test_a_process_limits_how_many_files_and_which_types(desk: ApiDesk) -> None:
    limited = {
        **EXPENSE,
        "settings": {**EXPENSE.get("settings", {}), "attachments": {"max_files": 1, "types": ["image/*"]}},
    }
    request = await desk.start(await desk.publish(limited), amount="10")
    assert (await upload(desk, request)).status_code == 415
    png = b"\x89PNG\r\n\x1a\n" + bytes(40)
    assert (await upload(desk, request, png, name="a.png")).status_code == 201
    assert (await upload(desk, request, png, name="b.png")).status_code == 409


async def test_a_zip_bomb_is_kept_and_handed_out_as_the_bytes_that_it_is(desk: ApiDesk) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    bomb = packed.getvalue()
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    answer = await upload(desk, request, bomb, name="bomb.docx")
    assert answer.status_code == 201, answer.text
    assert answer.json()["size"] == len(bomb)
    found = await desk.get(f"/workflow/requests/{request['id']}/attachments/1/?view=true", as_="bob")
    assert (found.content, found.headers["content-type"]) == (bomb, "application/octet-stream")
    assert found.headers["content-disposition"].startswith("attachment; ")


async def test_a_picture_with_a_script_is_a_download(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await upload(
        desk, request, b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", name="a.svg"
    )
    found = await desk.get(f"/workflow/requests/{request['id']}/attachments/1/?view=true", as_="bob")
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in found.headers["content-security-policy"]


async def test_a_missing_file_is_a_finding_of_the_audit(desk: ApiDesk, tmp_path: Path) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await upload(desk, request)
    address = f"/workflow/requests/{request['id']}/audit/verify/"
    assert (await desk.get(address, as_="ann")).json()["ok"] is True
    (file,) = (path for path in (tmp_path / "files").rglob("*") if path.is_file())
    file.unlink()
    found = (await desk.get(address, as_="ann")).json()
    assert (found["ok"], found["differs"]) == (False, ["attachments/1"])
    assert (await desk.get(f"/workflow/requests/{request['id']}/attachments/1/", as_="ann")).status_code == 404
    for person, page in (("ann", f"/requests/{request['id']}"), ("bob", f"/tasks/{request['tasks'][0]['id']}")):
        shown = (await (await browser_of(desk, person)).get(page)).text
        assert "This file is missing in the store. Tell an admin." in shown


async def test_a_file_that_follows_a_start_makes_decisions_on_what_was_before_stale(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    assert (task["revision"], task["status"]) == (1, "open"), "it is asked for at once"
    assert (await upload(desk, request)).status_code == 201
    address = f"/workflow/tasks/{task['id']}/decide/"
    stale = await desk.post(address, {"decision": "approve", "revision": 1}, as_="bob")
    assert stale.status_code == 409
    assert stale.json()["reason"] == "content_changed"
    assert [one["field"] for one in stale.json()["difference"]] == ["attachments"]
    assert (await desk.post(address, {"decision": "approve", "revision": 2}, as_="bob")).status_code == 200
    late = await upload(desk, request, PDF + b"%", name="late.pdf")
    assert late.status_code == 409, "what was decided on does not change behind it"


async def test_a_process_that_waits_for_its_files_asks_nobody_before_they_are_there(desk: ApiDesk) -> None:
    files: dict[str, Any] = {"type": "wait", "event": "files_complete", "timeout_hours": 1}
    process = blueprint(
        {"stage_name": "Board", "approvers": ["user:bob"]},
        graph_spec=graph(
            "start -> files",
            "files -> board on event",
            "board -> approved on approved",
            "board -> rejected on rejected",
            nodes={"files": files, "board": {"step": "Board"}},
        ),
    )
    request = await desk.start(await desk.publish(process, owner="user:desi"))
    assert request["tasks"] == []
    for number in range(2):
        answer = await upload(desk, request, PDF + bytes([number]), name=f"{number}.pdf")
        assert answer.json()["revision"] == number + 2
    event = {"name": "files_complete"}
    told = await desk.post(f"/workflow/requests/{request['id']}/events/", event, as_="desi")
    assert told.status_code == 200, told.text
    (task,) = told.json()["tasks"]
    assert (task["assignee"], task["revision"]) == ("user:bob", 3)
