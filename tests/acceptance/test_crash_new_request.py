"""Kill -9 between the start of a request and its answer: the files of its form are on it, once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.approvals import EXPENSE
from tests.processes import STAFF, Caller, Installation, Parts, descendants, installation
from tests.waiting import PATIENCE, poll

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
TOUCHED = "SELECT max(touched_at) FROM request_draft_file"


@pytest.fixture
def forms() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


class Form:
    """The form of a new request in the browser of ann, with one file, which is uploaded before the form is sent."""

    def __init__(self, api: str, token: str, template: str) -> None:
        self.browser = httpx.Client(base_url=api, trust_env=False, timeout=PATIENCE)
        assert self.browser.post("/login", data={"token": token}).status_code == 303
        self.address = f"/requests/new/{template}"
        page = self.browser.get(self.address).text
        self.fields = {
            "csrf_token": _of(page, r'data-csrf="([^"]+)"'),
            "key": _of(page, r'name="key" value="([^"]+)"'),
            "input.amount": "10",
        }
        page = self.send("attach", file=("offer.pdf", PDF, "application/pdf")).text
        self.fields["draft_file"] = _of(page, r'name="draft_file" value="(\w+)"')

    def close(self) -> None:
        """Close the browser."""
        self.browser.close()

    def send(self, step: str, *, file: tuple[str, bytes, str | None] = ("", b"", None)) -> httpx.Response:
        """Send the form as its page has it."""
        return self.browser.post(self.address, data=self.fields | {"step": step}, files={"file": file})

    def again(self) -> str:
        """Send the form once more, as people do after an error page, until it leads to a request; return its id."""

        def answered() -> str | None:
            try:
                answer = self.send("send")
            except httpx.TransportError:
                return None
            assert answer.status_code in {303, 503}, answer.text
            return answer.headers["location"].partition("?")[0].rpartition("/")[2] if answer.is_redirect else None

        found = poll(answered, what="the page of the request")
        assert found is not None
        return found


def _of(page: str, pattern: str) -> str:
    found = re.search(pattern, page)
    assert found is not None, page
    return found[1]


def in_background(send: Callable[[], object]) -> Future[object]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(send)
    pool.shutdown(wait=False)
    return future


def published(olivia: Caller) -> str:
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")
    return str(template["id"])


def once_with_its_file(request_id: str, ann: Caller, olivia: Caller) -> None:
    """Hold a request to what its form said."""
    mine: list[dict[str, Any]] = ann("GET", "requests/?limit=500")["items"]
    assert [one["id"] for one in mine] == [request_id]
    timeline = olivia("GET", f"requests/{request_id}/timeline/?limit=500")["items"]
    assert [one["kind"] for one in timeline[:3]] == ["started", "attached", "task_opened"]
    assert [one["kind"] for one in timeline].count("attached") == 1
    assert timeline[1]["detail"]["sha256"] == hashlib.sha256(PDF).hexdigest()
    files = olivia("GET", f"requests/{request_id}/attachments/")["items"]
    assert [(one["name"], one["size"]) for one in files] == [("offer.pdf", len(PDF))]
    assert olivia.send("GET", f"requests/{request_id}/attachments/{files[0]['n']}/").content == PDF
    answer = olivia("GET", f"requests/{request_id}/audit/verify/")
    assert answer["ok"], answer


def test_api_killed_before_the_engine_has_the_request_loses_no_file_of_its_form(
    place: Installation, forms: ExitStack
) -> None:
    parts = Parts(place)
    form = forms.enter_context(closing(Form(parts.api_url, parts.tokens["ann"], published(parts.caller("olivia")))))
    before = place.rows(TOUCHED)
    engine = descendants(parts.engine.pid)
    for pid in engine:
        os.kill(pid, signal.SIGSTOP)  # so that the start is under way, and goes no further
    try:
        waiting = in_background(lambda: form.send("send"))
        poll(lambda: place.rows(TOUCHED) != before, what="the start, which takes the files first")
        parts.api.kill()
        assert isinstance(waiting.exception(PATIENCE), httpx.TransportError)
    finally:
        for pid in engine:
            os.kill(pid, signal.SIGCONT)
    parts.restart_api()
    request = form.again()
    once_with_its_file(request, parts.caller("ann"), parts.caller("olivia"))
    assert form.again() == request, "the form counts once, however often it is sent"
    assert place.rows("SELECT count(*) FROM request_draft_file WHERE NOT dropped")[0][0] == 0


@pytest.mark.parametrize("repeats", [False, True], ids=["nobody repeats it", "the browser repeats it"])
def test_api_killed_once_the_engine_has_the_request_leaves_it_with_its_files_once(
    place: Installation, forms: ExitStack, repeats: bool
) -> None:
    tokens = place.load(STAFF)
    _, where = place.up()
    ann, olivia = Caller(where["api"], tokens["ann"]), Caller(where["api"], tokens["olivia"])
    form = forms.enter_context(closing(Form(where["api"], tokens["ann"], published(olivia))))
    reserved = str(place.rows("SELECT request_id FROM request_draft_file")[0][0])
    worker, api = (int(where["processes"][name]["pid"]) for name in ("worker", "api"))
    os.kill(worker, signal.SIGSTOP)  # so that nothing of the request is recorded, and its start is not answered
    try:
        waiting = in_background(lambda: form.send("send"))
        poll(lambda: asyncio.run(_is_in_the_engine(where["temporal"], reserved)), what="the request in the engine")
        os.kill(api, signal.SIGKILL)
        assert isinstance(waiting.exception(PATIENCE), httpx.TransportError)
    finally:
        os.kill(worker, signal.SIGCONT)
    if repeats:
        assert form.again() == reserved
    poll(lambda: _answers(ann, reserved), what="the request, from the API that the supervisor started")
    once_with_its_file(reserved, ann, olivia)
    assert form.again() == reserved, "the form counts once, however often it is sent"
    once_with_its_file(reserved, ann, olivia)


async def _is_in_the_engine(address: str, request_id: str) -> bool:
    client = await Client.connect(address)
    try:
        await client.get_workflow_handle(request_id).describe()
    except RPCError:
        return False
    return True


def _answers(caller: Caller, request_id: str) -> bool:
    try:
        return caller.send("GET", f"requests/{request_id}/").is_success
    except httpx.TransportError:
        return False
