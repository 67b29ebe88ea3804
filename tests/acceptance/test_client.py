"""The client against a running installation: it waits, hears of every outcome, and needs nothing else of Placet."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from placet.client import (
    Action,
    AlreadyClaimed,
    AsyncClient,
    ChangesRequested,
    Client,
    DigestMismatch,
    EndedOtherwise,
    Invalid,
    NotApproved,
    NotAuthenticated,
    Rejected,
    Request,
    StillPending,
    Withdrawn,
    requires_approval,
)
from tests.contract import Placet, open_tasks
from tests.processes import BIN
from tests.waiting import PATIENCE, poll

STEP = {"stage_name": "Yes or no", "approvers": ["user:max"]}


@pytest.fixture
def rita(placet: Placet) -> Any:
    """Give Rita's client."""
    with Client(placet.where["api"], placet.tokens["rita"]) as client:
        yield client


@pytest.fixture
def process(placet: Placet) -> str:
    """Give a process of one stage, which Max decides."""
    return placet.publish(placet.process(STEP))


def meanwhile(waits: Callable[[], Request]) -> Callable[[], Request]:
    """Begin to wait on a thread; the result gives or raises what came of it."""
    came: list[Any] = []

    def work() -> None:
        try:
            came.append(waits())
        except Exception as error:
            came.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result() -> Request:
        thread.join(PATIENCE)
        assert came, "nobody was told"
        if isinstance(came[0], Exception):
            raise came[0]
        return came[0]  # type: ignore[no-any-return]  # a Request, where it is no error

    return result


def decide(placet: Placet, request: Request, **decision: str) -> None:
    task = open_tasks(placet.request({"id": request.id}))["max"]
    placet.post("max", f"tasks/{task}/decide/", decision)


def test_whoever_waits_hears_of_the_approval(placet: Placet, rita: Client, process: str) -> None:
    request = rita.start(process, title="A chair", key=f"{process}-1")
    assert rita.start(process, title="A chair", key=f"{process}-1") == request
    with pytest.raises(StillPending):
        rita.wait(request.id, timeout=0)
    result = meanwhile(lambda: rita.wait_for_approval(request.id, timeout=PATIENCE))
    decide(placet, request, decision="approve")
    approved = result()
    assert (approved.approved, approved.tasks[0].decided_by, approved.requester) == (True, "user:max", "user:rita")
    assert next(rita.timeline(request.id)).kind == "started"
    assert [one.id for one in rita.requests(requester="me", template=process).items] == [request.id]


@pytest.mark.parametrize(
    ("decision", "error"),
    [
        ({"decision": "reject", "comment": "No."}, Rejected),
        ({"decision": "request_changes", "comment": "Cheaper."}, ChangesRequested),
    ],
)
def test_what_is_no_approval_is_told_apart(
    placet: Placet, rita: Client, process: str, decision: dict[str, str], error: type[Exception]
) -> None:
    request = rita.start(process)
    result = meanwhile(lambda: rita.wait_for_approval(request.id, timeout=PATIENCE))
    decide(placet, request, **decision)
    with pytest.raises(error):
        result()


async def test_the_asynchronous_client_hears_of_a_withdrawal(placet: Placet, process: str) -> None:
    async with AsyncClient(placet.where["api"], placet.tokens["rita"]) as rita:
        request = await rita.start(process)
        waits = asyncio.create_task(rita.wait_for_approval(request.id, timeout=PATIENCE))
        assert (await rita.withdraw(request.id, reason="Not needed.")).outcome == "withdrawn"
        with pytest.raises(Withdrawn):
            await waits
        assert [entry.kind async for entry in rita.timeline(request.id)][-1] in {"withdrawn", "completed"}


def test_people_decide_and_see_what_is_waited_for(placet: Placet, rita: Client, process: str) -> None:
    request = rita.start(process)
    [waits] = rita.waiting(request.id).waits_for
    assert (waits.kind, waits.people) == ("decision", ("user:max",))
    with Client(placet.where["api"], placet.tokens["max"]) as other:
        [task] = other.tasks(assignee="me", request_id=request.id).items
        assert other.decide(task, "approve", comment="Fine.").approved
    assert rita.verify(request.id).ok
    assert rita.me().id == "rita"


def test_what_would_come_of_a_request_is_explored(rita: Client, process: str) -> None:
    found = rita.simulate(process)
    assert (found.status, found.outcome) == ("completed", "approved")
    assert [one.name for one in rita.templates(name=process).items] == [process]


def test_refusals_name_the_place(placet: Placet, rita: Client) -> None:
    with pytest.raises(Invalid) as caught:
        rita.start("No such process")
    assert caught.value.problems[0].pointer == "/template"
    with Client(placet.where["api"], "placet_unknown") as nobody, pytest.raises(NotAuthenticated):
        nobody.me()


def test_an_outcome_of_the_process_itself_is_no_approval(placet: Placet, rita: Client) -> None:
    graph = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "end", "type": "terminator", "outcome": "noted"},
        ],
        "edges": [{"from": "start", "to": "end"}],
    }
    blueprint = {"name": placet.name(), "version": "1.0.0", "owner": "user:olivia", "graph_spec": graph}
    request = rita.start(placet.publish(blueprint | {"process_steps": []}))
    with pytest.raises(EndedOtherwise, match="noted"):
        rita.wait_for_approval(request.id, timeout=PATIENCE)


def test_a_function_runs_once_people_have_approved_its_call(placet: Placet, rita: Client, process: str) -> None:
    ran: list[str] = []
    asked: list[Request] = []

    @requires_approval(process, type="transfer", target="DE02", client=rita, on_asked=asked.append, timeout=PATIENCE)
    def pay(amount: Decimal) -> str:
        ran.append(str(amount))
        return "paid"

    for decision in ("approve", "reject"):
        result = meanwhile(lambda: pay(Decimal("820.00")))  # type: ignore[arg-type, return-value]  # it gives text
        poll(lambda: len(asked) == 1, what="a request")
        decide(placet, asked[0], decision=decision, comment="As I see it.")
        if decision == "approve":
            assert (result(), ran) == ("paid", ["820.00"])
            approved = asked.pop()
        else:
            with pytest.raises(Rejected):
                result()
    assert ran == ["820.00"]
    seen = rita.request(approved.id)
    assert (seen.action or {})["parameters"] == {"amount": "820.00"}
    assert seen.claim is not None
    assert (seen.claim.status, seen.claim.claimed_by) == ("claimed", "user:rita")


def test_a_claim_is_for_exactly_what_was_approved_and_for_once(placet: Placet, rita: Client, process: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    action = Action(type="transfer", target="DE02", parameters={"amount": 82000}, expires_at=until)
    request = rita.start(process, action=action)
    with pytest.raises(NotApproved):
        rita.claim(request.id, action)
    decide(placet, request, decision="approve")
    with pytest.raises(DigestMismatch):
        rita.claim(request.id, replace(action, parameters={"amount": 820000}))
    claim = rita.claim(request.id, action, key=f"{process}-claim")
    assert rita.claim(request.id, action, key=f"{process}-claim") == claim
    with pytest.raises(AlreadyClaimed):
        rita.claim(request.id, action)


def test_a_step_of_a_pipeline_waits_on_a_machine_without_placet(placet: Placet, process: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLACET_HOME": str(home)}
    env |= {"PLACET_URL": placet.where["api"], "PLACET_TOKEN": placet.tokens["rita"]}
    for decision, code in (("approve", 0), ("reject", 10)):
        command = [
            str(BIN),
            "ask",
            process,
            "--title",
            f"Deploy {decision}",
            "--key",
            f"{process} {decision}",
            "--wait",
        ]
        step = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert step.stderr is not None
            asked = step.stderr.readline().split()
            task = open_tasks(placet.request({"id": asked[1]}))["max"]
            placet.decide("max", task, decision, comment="So be it.")
            printed, _ = step.communicate(timeout=PATIENCE)
        finally:
            step.kill()
            step.wait()
        assert (step.returncode, printed.split()[0]) == (code, asked[1])
    assert not home.exists(), "a command that calls another machine writes nothing on this one"
