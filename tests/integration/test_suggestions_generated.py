"""Suggestions from the past of processes: made once, with evidence, and not again unless that changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, update
from sqlmodel import col
from temporalio.client import Client
from typer.testing import CliRunner

from api.routes.examples import EXPENSE_APPROVAL
from cli.main import app
from insight.mining.stored import read_history
from placet.errors import Unavailable
from service.suggestions import generation, scoring
from service.suggestions.generation import tonight
from storage.database import Database
from storage.queries import suggestions
from storage.recording.metrics import totals
from storage.retention.erasure import erase_content
from storage.tables.approvals import StoredPerson
from storage.tables.suggestions import WorkflowSuggestion
from tests.api_desk import ApiDesk, context_of, working_desk
from tests.pages import browser_of
from tests.stored import writing
from tests.stored_past import Script, store_past

SUGGESTIONS = "/workflow/workflow-suggestions/"
GENERATE = f"{SUGGESTIONS}generate/"
TEMPLATES = "/workflow/process-templates/"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client) as opened:
        yield opened


def amounts(count: int) -> list[Mapping[str, Any]]:
    return [{"amount": str(6000 + number), "department": "it"} for number in range(count)]


def cfo_refuses_often(number: int) -> Script:
    return [{"stage": "CFO Approval", "decision": "reject"}] if number % 3 == 0 else []


async def past(desk: ApiDesk, count: int = 120, *, days: int = 20, prefix: str = "past") -> str:
    """Publish a process whose managers approve everything, and whose CFO refuses a third."""
    name = await desk.publish(EXPENSE_APPROVAL)
    await more_past(desk, name, count, days=days, prefix=prefix)
    return name


async def more_past(desk: ApiDesk, name: str, count: int, *, days: int = 20, prefix: str = "past") -> list[str]:
    start = datetime.now(UTC) - timedelta(days=days)
    return await store_past(desk.database, name, amounts(count), start=start, script=cfo_refuses_often, prefix=prefix)


async def generated(desk: ApiDesk, name: str | None = None, **more: Any) -> dict[str, Any]:
    answer = await desk.post(GENERATE, {"template": name, **more} if name else more, as_="desi")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def auto_approval_of(desk: ApiDesk, name: str) -> dict[str, Any]:
    made = await generated(desk, name)
    (found,) = [item for item in made["items"] if item["suggestion_type"] == "auto_approval"]
    return dict(found)


async def test_a_stage_in_which_everything_is_approved_is_suggested_with_evidence_and_backtest(desk: ApiDesk) -> None:
    name = await past(desk)
    made = await generated(desk, name)
    assert made["created"] == len(made["items"]) > 0
    (found,) = [item for item in made["items"] if item["suggestion_type"] == "auto_approval"]
    assert (found["source"], found["status"], found["version"], found["created_by"]) == (
        "rule",
        "pending",
        "1.0.0",
        None,
    )
    assert 0.95 < found["confidence"] < 1
    assert found["supporting_data"]["count"] == found["supporting_data"]["approved"] == 120
    assert len(found["supporting_data"]["examples"]) > 0
    assert {"from", "to"} <= found["supporting_data"]["period"].keys()
    assert "Manager Approval" in found["title"]
    assert found["backtest"]["totals"]["known"] == 120
    assert found["backtest"]["totals"]["outcome_changed"]["count"] == 0
    assert all(finding["severity"] == "warning" for finding in found["findings"])
    whole = (await desk.get(f"{SUGGESTIONS}{found['id']}/", as_="desi")).json()
    assert [step["stage_name"] for step in whole["blueprint"]["process_steps"]] == ["CFO Approval"]


async def test_what_is_pending_or_accepted_for_this_version_is_not_suggested_again(
    desk: ApiDesk,
) -> None:
    name = await past(desk)
    first = await generated(desk, name)
    again = await generated(desk, name)
    assert (again["created"], again["items"], again["refreshed"]) == (0, [], 0)
    for item in first["items"]:
        assert (await desk.post(f"{SUGGESTIONS}{item['id']}/accept/", as_="desi")).status_code in {200, 409}
    assert (await generated(desk, name))["created"] == 0


async def test_newer_evidence_is_written_into_what_is_pending(desk: ApiDesk) -> None:
    name = await past(desk)
    found = await auto_approval_of(desk, name)
    await more_past(desk, name, 30, days=2, prefix="new")
    made = await generated(desk, name)
    assert found["id"] not in {item["id"] for item in made["items"]}
    assert made["refreshed"] >= 1
    now = (await desk.get(f"{SUGGESTIONS}{found['id']}/", as_="desi")).json()
    assert now["supporting_data"]["count"] == 150
    assert now["confidence"] > found["confidence"]
    assert (now["created_at"], now["status"]) == (found["created_at"], "pending")
    assert now["updated_at"] > found["updated_at"]


async def test_what_was_rejected_comes_back_only_when_its_evidence_changes(desk: ApiDesk) -> None:
    name = await past(desk)
    found = await auto_approval_of(desk, name)
    await desk.post(f"{SUGGESTIONS}{found['id']}/reject/", {"notes": "The law asks for it."}, as_="desi")
    assert not [i for i in (await generated(desk, name))["items"] if i["title"] == found["title"]]
    await more_past(desk, name, 5, days=2, prefix="few")
    assert not [i for i in (await generated(desk, name))["items"] if i["title"] == found["title"]]
    await more_past(desk, name, 30, days=2, prefix="many")
    (back,) = [i for i in (await generated(desk, name))["items"] if i["title"] == found["title"]]
    assert back["supporting_data"]["count"] == 155
    kept = (await desk.get(f"{SUGGESTIONS}{found['id']}/", as_="desi")).json()
    assert (kept["status"], kept["review_notes"], kept["supporting_data"]["count"]) == (
        "rejected",
        "The law asks for it.",
        120,
    )


async def test_only_the_days_that_are_asked_for_are_mined(desk: ApiDesk) -> None:
    name = await past(desk, days=40)
    assert (await generated(desk, name, days=20))["created"] == 0
    assert (await generated(desk, name, days=60, min_occurrences=500))["created"] == 0
    assert (await generated(desk, name, days=60))["created"] > 0


async def test_without_a_process_all_are_mined_and_an_unknown_one_is_named(desk: ApiDesk) -> None:
    names = {await past(desk, prefix="a"), await past(desk, prefix="b")}
    assert {item["template"] for item in (await generated(desk))["items"]} == names
    answer = await desk.post(GENERATE, {"template": f"{min(names)}x"}, as_="desi")
    assert answer.status_code == 422
    assert "did you mean" in answer.json()["detail"]
    for body in ({"days": 0}, {"days": 10**9}, {"min_occurrences": 0}, {"days": "x"}, {"days": True}, {"since": 1}):
        assert (await desk.post(GENERATE, body, as_="desi")).status_code == 422
    for person in ("ann", "audrey"):
        assert (await desk.post(GENERATE, as_=person)).status_code == 403


async def test_runs_at_the_same_time_make_each_suggestion_once(desk: ApiDesk) -> None:
    name = await past(desk)
    made = await asyncio.gather(*(generated(desk, name) for _ in range(3)))
    listed = (await desk.get(f"{SUGGESTIONS}?template={name}", as_="desi")).json()["items"]
    assert sum(one["created"] for one in made) == len(listed)
    assert len({item["title"] for item in listed}) == len(listed)


async def test_metrics_count_each_suggestion_once_in_the_database(desk: ApiDesk) -> None:
    name = await past(desk)
    before = await desk.database.read(totals)
    made = await generated(desk, name)
    await generated(desk, name)
    after = await desk.database.read(totals)
    total, confidence = "workflow_suggestion_total", "workflow_suggestion_confidence"
    assert after.values[total][("rule",)] - before.values[total][("rule",)] == made["created"]
    observed = [after.histograms[confidence][()], before.histograms[confidence][()]]
    assert observed[0].count - observed[1].count == made["created"]
    assert observed[0].sum - observed[1].sum == pytest.approx(sum(item["confidence"] for item in made["items"]))


async def test_a_run_leaves_an_act_where_it_stored_something(desk: ApiDesk) -> None:
    name = await past(desk)
    made = await generated(desk, name)
    await generated(desk, name)
    acts = (await desk.get("/workflow/admin-acts/?kind=suggestions_generated", as_="adam")).json()["items"]
    assert [(act["actor"], act["detail"]["created"], act["target"]) for act in acts] == [
        ("user:desi", made["created"], f"process:{name}")
    ]


def _last_night(connection: Connection, day: date) -> None:
    now = datetime.now(UTC)
    assert suggestions.take_night(connection, "suggestions", day, now=now, until=now + timedelta(hours=1))
    suggestions.end_night(connection, "suggestions", day)


async def test_the_night_is_one_processs_and_comes_once_a_day(desk: ApiDesk) -> None:
    name = await past(desk)
    context = context_of(desk)
    day = datetime.now(UTC).date()
    await desk.database.write(_last_night, day - timedelta(days=1))
    object.__setattr__(context, "clock", lambda: datetime(day.year, day.month, day.day, 1, 59, tzinfo=UTC))
    assert await tonight(context) is None
    late = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
    object.__setattr__(context, "clock", lambda: late)
    made = [one for one in await asyncio.gather(tonight(context), tonight(context)) if one is not None]
    assert [len(one.created) > 0 for one in made] == [True]
    assert {row.created_by for row in made[0].created} == {None}
    assert name in {row.template for row in made[0].created}
    assert await tonight(context) is None
    object.__setattr__(context, "clock", lambda: late + timedelta(hours=4))
    again = await tonight(context)
    assert again is not None
    assert again.created == ()


async def test_a_night_that_a_process_died_in_is_another_ones_after_an_hour(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await past(desk)
    context = context_of(desk)
    day = datetime.now(UTC).date()
    night = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    object.__setattr__(context, "clock", lambda: night)
    with monkeypatch.context() as patch:

        async def dies(*_: Any, **__: Any) -> None:
            raise asyncio.CancelledError

        patch.setattr(generation, "generate", dies)
        with pytest.raises(asyncio.CancelledError):
            await tonight(context)
    assert await tonight(context) is None, "it might still be at it"
    object.__setattr__(context, "clock", lambda: night + timedelta(minutes=61))
    made = [one for one in await asyncio.gather(tonight(context), tonight(context)) if one is not None]
    assert [name in {row.template for row in one.created} for one in made] == [True]
    assert await tonight(context) is None


async def test_the_loop_looks_again_and_again_whatever_happened_the_time_before(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    enough = asyncio.Event()

    async def look(_: Any) -> None:
        looked.append(len(looked))
        if len(looked) == 3:
            enough.set()
        raise (Unavailable("the database is away"), RuntimeError("a bug"))[len(looked) % 2]

    monkeypatch.setattr(generation, "_EVERY", 0.0)
    monkeypatch.setattr(generation, "tonight", look)
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(generation.watch(context_of(desk)))
        await asyncio.wait_for(enough.wait(), 30)
        loop.cancel()
    assert len(looked) >= 3


def decided(desk: ApiDesk, name: str, kinds: Mapping[str, str], count: int) -> None:
    """Store suggestions of other processes that people have accepted or rejected, so many of each of these kinds."""
    now = datetime.now(UTC) - timedelta(days=1)
    with writing(desk.database) as session:
        for number in range(count):
            for kind, status in kinds.items():
                at = now - timedelta(hours=number)
                ident = f"{name}-{kind}-{number}"
                row = WorkflowSuggestion(
                    id=ident,
                    template="Another",
                    version="1.0.0",
                    suggestion_type=kind,
                    source="rule",
                    subject=[kind, ident],
                    subject_id=ident,
                    title="It",
                    description="",
                    patch=[{}],
                    blueprint={},
                    confidence=0.9 + number % 9 / 100,
                    supporting_data={"count": 100 + number, "period": {"from": None, "to": None}, "examples": []},
                    findings=[],
                    created_at=at,
                    updated_at=at,
                )
                suggestions.insert(session.connection(), row)
                review = {"status": status, "notes": None, "by": "desi", "now": at}
                suggestions.review(session.connection(), ident, **review)


@pytest.mark.parametrize("one_in", [1, 10**12])
async def test_once_people_have_decided_often_enough_a_model_chooses_what_is_suggested(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch, one_in: int
) -> None:
    name = await past(desk)
    monkeypatch.setattr(scoring, "_ONE_IN", one_in)
    found = {"auto_approval": "accepted", "sla_target": "rejected"}
    decided(desk, name, found, 19)
    first = await generated(desk, name)
    assert {item["source"] for item in first["items"]} == {"rule"}
    assert {item["suggestion_type"] for item in first["items"]} >= set(found)
    assert first["model"] == {
        "used": False, "accepted": 19, "rejected": 19, "least_of_both": 20, "brier": None, "brier_of_base_rate": None,
    }  # fmt: skip
    with writing(desk.database) as session:
        session.execute(delete(WorkflowSuggestion).where(col(WorkflowSuggestion.template) == name))
    decided(desk, f"{name}-more", found, 20)
    made = await generated(desk, name)
    model = made["model"]
    assert (model["used"], model["accepted"], model["rejected"]) == (True, 39, 39)
    assert model["brier"] < model["brier_of_base_rate"]
    items = {item["suggestion_type"]: item for item in made["items"]}
    liked = items["auto_approval"]
    assert liked["source"] == "model"
    assert liked["score"]["chance"] > 0.8
    assert (liked["score"]["accepted"], liked["score"]["rejected"]) == (39, 39)
    chances = [item["score"]["chance"] for item in made["items"]]
    assert chances == sorted(chances, reverse=True), "the likeliest first"
    if one_in == 1:  # what people have always rejected is suggested now and then all the same, by its rule
        assert (items["sla_target"]["source"], made["held_back"]) == ("rule", 0)
        assert items["sla_target"]["score"]["chance"] < 0.1
    else:
        assert "sla_target" not in items
        assert made["held_back"] >= 1
    counted = (await desk.database.read(totals)).values["workflow_suggestion_total"]
    assert counted["model",] == sum(item["source"] == "model" for item in made["items"])
    page = (await (await browser_of(desk, "desi")).get(f"/suggestions/{liked['id']}")).text
    assert "learned from 39 accepted and 39 rejected suggestions" in page
    assert "Mined, and chosen by a trained model" in page


async def test_the_command_stores_what_the_api_shows(
    desk: ApiDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await past(desk)
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACET_DATABASE_URL", desk.database.url.render_as_string(hide_password=False))

    async def called(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, ["suggest", *arguments])

    told = await called("--days", "30", "--min-occurrences", "10", "--template", name, "--json")
    assert told.exit_code == 0, told.output
    made = json.loads(told.stdout)
    assert made["created"] == len(made["items"]) > 0
    listed = (await desk.get(f"{SUGGESTIONS}?template={name}", as_="desi")).json()["items"]
    assert sorted(listed, key=itemgetter("id")) == sorted(made["items"], key=itemgetter("id")), "as the API tells them"
    again = await called("--template", name)
    assert "0 new suggestions" in again.stdout
    unknown = await called("--template", f"{name}x")
    assert unknown.exit_code != 0
    assert "did you mean" in unknown.output


async def test_a_history_holds_who_decided_when_and_what_was_asked_at_first(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    request = await desk.start(name, amount="10", department="it")
    (task,) = request["tasks"]
    path = f"/workflow/tasks/{task['id']}/decide/"
    await desk.post(path, {"decision": "request_changes", "comment": "Why it?"}, as_="bob")
    body = {"input": {"amount": "12", "department": "sales"}}
    assert (await desk.post(f"/workflow/requests/{request['id']}/resubmit/", body)).status_code == 200
    opened = (await desk.get(f"/workflow/requests/{request['id']}/")).json()["tasks"][-1]
    await desk.post(f"/workflow/tasks/{opened['id']}/decide/", {"decision": "approve"}, as_="bob")
    with writing(desk.database) as session:
        session.execute(update(StoredPerson).where(col(StoredPerson.id) == "bob").values(actor_type="agent"))
    now = datetime.now(UTC)
    found = await read_history(desk.database, name, since=now - timedelta(days=1), now=now)
    (fields, tasks) = (found.cases.fields, found.tasks)
    assert [fields["department"].names.known[n] for n in fields["department"].texts] == ["it"]
    assert list(fields["amount"].numbers) == [10.0]
    assert [tasks.decisions.known[n] for n in tasks.decision] == ["request_changes", "approve"]
    assert [tasks.changes.known[n] for n in tasks.changed] == [("amount", "department"), ()]
    assert [tasks.actor_types.known[n] for n in tasks.actor_type] == ["agent", "agent"]
    assert [tasks.people.known[n] for n in tasks.person] == ["bob", "bob"]
    assert all(0 <= waited < 3600 for waited in tasks.waited)


async def test_of_an_erased_request_a_history_holds_no_value(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    ids = await more_past(desk, name, 3)
    await desk.database.write(erase_content, ids[0], datetime.now(UTC))
    now = datetime.now(UTC)
    found = await read_history(desk.database, name, since=now - timedelta(days=30), now=now)
    place = found.cases.ids.index(ids[0])
    assert len(found.cases) == 3
    assert [name for name, column in found.cases.fields.items() if column.texts[place] >= 0] == []
    assert sum(number == number for number in found.cases.fields["amount"].numbers) == 2  # the others have one
    assert found.cases.amount[place] != found.cases.amount[place]


async def test_a_history_has_requests_in_the_order_of_their_start_and_where_bounded_the_newest(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await desk.publish(EXPENSE_APPROVAL)
    other = await desk.publish(EXPENSE_APPROVAL)
    ids = await more_past(desk, name, 7)
    await more_past(desk, other, 7)
    now = datetime.now(UTC)
    monkeypatch.setattr("insight.mining.stored._AT_ONCE", 3)
    whole = await read_history(desk.database, name, since=now - timedelta(days=30), now=now)
    assert whole.cases.ids == ids
    assert list(whole.cases.started) == sorted(whole.cases.started)
    assert list(whole.tasks.case) == [n for n in range(7) for _ in range(2)]
    stages = [whole.tasks.stages.known[n] for n in whole.tasks.stage]
    assert stages == ["Manager Approval", "CFO Approval"] * 7
    part = await read_history(desk.database, name, since=now - timedelta(days=30), now=now, most=5)
    assert part.cases.ids == ids[4:]
    assert list(part.tasks.case) == [0, 0, 1, 1, 2, 2]
