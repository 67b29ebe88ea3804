"""The gallery as it is used: loaded, started and decided over HTTP, on the production worker and a real engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle

from cli import workers
from simulation.modes.consequences import FORM as FORM_DECIDES
from simulation.modes.consequences import PROCESS
from simulation.run.time_skipping import VirtualTime
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import SECRET
from tests.gallery import FILES, FOLDER, FORM, STORIES, raw
from tests.unit.core import START
from tests.waiting import until
from worker.catalog import seed_catalog
from worker.settings import Settings

TEMPLATES = "/workflow/process-templates/"
PEOPLE: list[dict[str, Any]] = json.loads((FOLDER / "people.json").read_text())
ADMIN, REQUESTER = "olivia", "rita"
# What people, the outside and the clock do; what comes before it follows from the decision alone.
ANOTHER = {"decided", "claimed", "event_received", "child_ended", "waited"}
ANOTHER |= {"reminded", "sla_warning", "sla_breached", "escalated"}
FORMS = {step["stage_name"]: FORM for file in FILES for step in raw(file.stem)["process_steps"] if "form" in step}


@dataclass
class Request:
    """One request of the gallery, and what its people do over HTTP."""

    desk: ApiDesk
    clock: VirtualTime
    id: str
    owner: str
    decided: list[tuple[str, str]] = field(default_factory=list)  # who, and how
    foretold: list[dict[str, Any]] = field(default_factory=list)  # what each decision was said to lead to
    passed: float = 0  # hours

    @property
    def path(self) -> str:
        return f"/workflow/requests/{self.id}/"

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.clock.client.get_workflow_handle(self.id)

    async def timeline(self) -> list[dict[str, Any]]:
        return list((await read(self.desk, f"{self.path}timeline/?limit=500"))["items"])

    async def tell(self, who: str, what: Any, *more: Any) -> None:
        """Let the next thing of a story happen."""
        if who == "hours":
            await self.clock.forward(self.handle, timedelta(hours=what - self.passed))
            self.passed = what
        elif who == "happens":
            await self.happens({"name": what, "payload": more[0]})
        elif who == "done":
            await self.ran(what, more[0])
        elif who == "ended":
            await self.child(more[0])
        elif what == "claim":
            task = await self.task(who, assigned=False)
            await did(self.desk.post(f"/workflow/tasks/{task['id']}/claim/", as_=who))
        else:
            task = await self.task(who, assigned=True)
            said = await read(self.desk, f"/workflow/tasks/{task['id']}/consequences/", as_=who)
            self.foretold.append(said[what] | {"task": task["id"]})
            body = {"decision": what, "comment": "seen", "form": FORMS.get(task["stage"])}
            await did(self.desk.post(f"/workflow/tasks/{task['id']}/decide/", body, as_=who))
            self.decided.append((f"user:{who}", what))

    async def task(self, who: str, *, assigned: bool) -> dict[str, Any]:
        """Return the person's task in this request from their inbox, once it is there."""
        inbox = f"/workflow/tasks/?assignee=me&status=open&request_id={self.id}"

        async def found() -> dict[str, Any] | None:
            items = (await read(self.desk, inbox, as_=who))["items"]
            wanted = f"user:{who}" if assigned else None
            return next((task for task in items if task["assignee"] == wanted), None)

        task = await until(found, what=f"a task of {who}")
        assert task is not None
        return task

    async def happens(self, event: dict[str, Any]) -> None:
        """Report what happened outside; it is refused until somebody waits for it."""

        async def told() -> bool:
            answer = await self.desk.post(f"{self.path}events/", event, as_=self.owner)
            assert answer.status_code in {200, 409}, answer.text
            return answer.status_code == httpx.codes.OK

        await until(told, what=f"the wait for {event['name']}")

    async def ran(self, node: str, after: dict[str, Any]) -> None:
        """Wait for an action, which the worker has carried out, and see what it has set."""

        async def entry() -> dict[str, Any] | None:
            runs = (item for item in await self.timeline() if item["kind"] == "action_run")
            return next((item for item in runs if item["detail"]["node"] == node), None)

        found = await until(entry, what=f"the action of {node}")
        assert found is not None
        assert found["detail"]["after"] == after

    async def child(self, outcome: str) -> None:
        """Decide the sub-process, a request of its own, so that it comes to this outcome."""
        child = Request(desk=self.desk, clock=self.clock, id=f"{self.id}~1", owner=self.owner)
        await child.tell("max", {"approved": "approve", "rejected": "reject"}[outcome])
        await child.ended(outcome)

    async def ended(self, outcome: str) -> None:
        """See that the request has ended so, that its chain holds, and that its timeline is whole."""

        async def over() -> dict[str, Any] | None:
            shown = await read(self.desk, self.path)
            return shown if shown["status"] != "pending" else None

        end = await until(over, what=f"the end of {self.id}")
        assert end is not None
        assert (end["status"], end["outcome"]) == ("completed", outcome)
        assert all(task["status"] != "open" for task in end["tasks"])
        await self.handle.result()
        verified = await read(self.desk, f"{self.path}audit/verify/")
        items = await self.timeline()
        assert verified == verified | {"ok": True, "entries": len(items), "engine_head": items[-1]["hash"]}
        assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
        assert (items[0]["kind"], items[-1]["kind"]) == ("started", "completed")
        decisions = [(item["actor"], item["detail"]["decision"]) for item in items if item["kind"] == "decided"]
        assert decisions == self.decided
        for said in self.foretold:
            _agrees(said, items)


def _agrees(said: dict[str, Any], items: list[dict[str, Any]]) -> None:
    """See that what a decision was said to lead to is what followed it, until somebody acted or time passed."""
    if "unavailable" in said:
        assert said["unavailable"] in {FORM_DECIDES, PROCESS}
        return
    at = next(n for n, item in enumerate(items) if item["kind"] == "decided" and item["task_id"] == said["task"])
    followed = list(takewhile(lambda item: item["kind"] not in ANOTHER, items[at + 1 :]))
    stage = items[at]["stage"]
    assert said["settles"] == any(item["kind"] == "stage_settled" and item["stage"] == stage for item in followed)
    asked: dict[str, set[str]] = {}
    for item in followed:
        if item["kind"] == "task_opened":
            detail = item["detail"]
            people = [detail["assignee"]] if detail.get("assignee") else detail["candidates"]
            asked.setdefault(item["stage"], set()).update(people)
    ran = [item["detail"]["action"] for item in followed if item["kind"] == "action_started"]
    assert [one["action"] for one in said["side_effects"]] == list(dict.fromkeys(ran))
    end = next((item for item in followed if item["kind"] == "completed"), None)
    assert said["outcome"] == (end["detail"]["outcome"] if end is not None else None)
    assert {one["stage"]: set(one["people"]) for one in said["next"]} == ({} if end is not None else asked)


@pytest_asyncio.fixture
async def clock(client: Client) -> VirtualTime:
    return VirtualTime(client)


@pytest_asyncio.fixture
async def desk(clock: VirtualTime, database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    """The workers as the commands put them together, on a task queue of their own, and the gallery's people."""
    queue = f"gallery-{uuid4().hex[:8]}"
    settings = Settings(home=tmp_path, database_url=database_url, task_queue=queue, secret_key=SECRET)
    await seed_catalog(database)
    first = tuple(row for row in PEOPLE if row["id"] == ADMIN)
    async with (
        workers.build_worker(database, clock.client, settings),
        workers.build_action_worker(database, clock.client, settings),
        api_desk(database, clock.client, task_queue=queue, staff=first) as opened,
    ):
        # First everybody, and then who manages whom: a manager has to be there.
        for changes in ({"manager": None}, {}):
            for row in PEOPLE:
                await did(opened.call("PUT", f"/workflow/people/{row['id']}/", as_=ADMIN, body=row | changes))
        yield opened


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_each_blueprint_runs_from_start_to_end_as_was_said_before_each_decision(
    desk: ApiDesk, clock: VirtualTime, file: Path
) -> None:
    stories = [story for story in STORIES if story[0] == file.stem]
    assert stories
    blueprint = raw(file.stem)
    for node in blueprint["graph_spec"]["nodes"]:
        if node["type"] == "subprocess":
            await published(desk, next(raw(f.stem) for f in FILES if raw(f.stem)["name"] == node["template"]))
    await published(desk, blueprint)
    for _, given, story, outcome in stories:
        body = {"template": blueprint["name"], "input": today(given, blueprint["variables"])}
        began = await did(desk.post("/workflow/requests/", body, as_=REQUESTER))
        owner = blueprint["owner"].removeprefix("user:")
        request = Request(desk=desk, clock=clock, id=began.json()["id"], owner=owner)
        for what in story:
            await request.tell(*what)
        await request.ended(outcome)


async def published(desk: ApiDesk, blueprint: dict[str, Any]) -> None:
    """Import a blueprint and publish it."""
    made = await did(desk.post(f"{TEMPLATES}import_blueprint/", blueprint, as_=ADMIN))
    await did(desk.post(f"{TEMPLATES}{made.json()['id']}/publish/", as_=ADMIN))


def today(given: dict[str, Any], variables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the input of a story that begins now, and not at START."""
    since = datetime.now(UTC) - START
    moved = dict(given)
    for variable in variables:
        name, kind = variable["name"], variable["type"]
        if name in given and kind == "date":
            moved[name] = (date.fromisoformat(given[name]) + since).isoformat()
        elif name in given and kind == "datetime":
            moved[name] = (datetime.fromisoformat(given[name]) + since).isoformat()
    return moved


async def read(desk: ApiDesk, path: str, *, as_: str = ADMIN) -> dict[str, Any]:
    answer: dict[str, Any] = (await did(desk.get(path, as_=as_))).json()
    return answer


async def did(call: Any) -> httpx.Response:
    """Return the answer of a call that has to succeed."""
    answer: httpx.Response = await call
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer
