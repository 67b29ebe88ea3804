"""The metrics: there at 0 from the start, counted once, never lower, and the same whichever process is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from placet.engine.events import Decide
from placet.engine.recording import Recording
from storage.database import Database
from storage.queries.notifications.delivery_queue import AttemptResult, finish_all
from storage.recording.metric_families import FAMILIES
from storage.recording.metrics import FAILURES, count, increment, observation, totals
from storage.tables.approvals import DefinitionVersion
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.approvals import EXPENSE, by, desk, store_people
from tests.integration.recordings import NOW, Story
from tests.integration.recordings import write as write_recording
from tests.stored import reading, writing
from tests.waiting import until
from workflows.approval import ApprovalWorkflow

COUNTERS = (
    "workflow_tasks_checked_total",
    "workflow_tasks_escalated_total",
    "workflow_tasks_reminded_total",
    "workflow_tasks_over_sla_total",
    "workflow_escalation_failures_total",
)
# Names and types as they were asked for.
ASKED = {
    **dict.fromkeys(COUNTERS, "counter"),
    "workflow_escalation_duration_seconds": "histogram",
    "workflow_pending_count": "gauge",
    "workflow_near_sla_breach_count": "gauge",
    "workflow_execution_total": "counter",
    "workflow_sla_breach_total": "counter",
    "workflow_sla_percentage": "gauge",
    "workflow_simulation_total": "counter",
    "workflow_suggestion_total": "counter",
    "workflow_suggestion_confidence": "histogram",
    "action_execution_total": "counter",
}


@pytest_asyncio.fixture
async def api(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine()) as there:
        yield there


async def scrape(api: ApiDesk) -> dict[str, float]:
    """Return every sample as Prometheus reads it, by its name and labels."""
    answer = await api.get("/metrics/prometheus", as_=None)
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def write(database: Database, *recordings: Recording, late: timedelta = timedelta(0)) -> None:
    for one in recordings:
        with writing(database) as session:
            write_recording(session, one, one.entries[-1].at + late)


def then(story: Story, kind: str, **detail: Any) -> Story:
    return story._later()._add(kind, task=story.tasks[0], **detail)


def escalated(story: Story) -> Story:
    due = story._later().at
    return then(story, "escalated", due=due.isoformat(), level=1)


async def test_every_metric_is_there_at_zero_from_the_start(api: ApiDesk) -> None:
    text = (await api.get("/metrics/prometheus", as_=None)).text
    for name, kind in ASKED.items():
        assert f"# TYPE {name} {kind}\n" in text
        assert f"# HELP {name} " in text
    samples = await scrape(api)
    for name in COUNTERS:
        assert samples[name] == 0
    assert samples["workflow_pending_count"] == samples["workflow_near_sla_breach_count"] == 0
    assert samples["workflow_escalation_duration_seconds_count"] == 0
    assert samples['workflow_escalation_duration_seconds_bucket{le="30.0"}'] == 0
    assert samples['workflow_execution_total{status="completed",type="approval"}'] == 0
    assert samples['workflow_sla_breach_total{severity="critical"}'] == 0
    assert samples['workflow_suggestion_total{source="rule"}'] == 0
    assert samples['workflow_simulation_total{status="failed"}'] == 0


async def test_what_is_recorded_is_counted(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carl")
    taken = then(opened, "claimed")  # out of its queue, which is no claim of an action
    reminded = taken.remind()
    warned = then(reminded, "sla_warning")
    breached = then(warned, "sla_breached")
    moved = escalated(breached)
    skipped = then(moved, "escalation_skipped", to="role:nobody", why="nobody there may take the task")
    ended = then(skipped, "escalation_ended", final="wait")
    done = ended.decide()
    stories = (opened, taken, reminded, warned, breached, moved, skipped, ended, done)
    await write(database, *(s.recording() for s in stories), *(s.recording() for s in stories))  # a repeat is none

    samples = await scrape(api)
    assert {name: samples[name] for name in COUNTERS} == {
        "workflow_tasks_checked_total": 6,
        "workflow_tasks_escalated_total": 1,
        "workflow_tasks_reminded_total": 1,
        "workflow_tasks_over_sla_total": 1,
        "workflow_escalation_failures_total": 1,
    }
    assert samples["workflow_tasks_opened_total"] == 2
    assert samples['workflow_claims_total{result="claimed"}'] == 0
    assert samples['workflow_execution_total{status="completed",type="approval"}'] == 1
    assert samples["workflow_pending_count"] == 1  # carl's: the story closes only bob's


async def test_the_gauges_follow_the_open_tasks(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carl")
    near = replace(opened, tasks=(replace(opened.tasks[0], sla_state="warning"), opened.tasks[1]))
    await write(database, opened.recording())
    assert (await scrape(api))["workflow_near_sla_breach_count"] == 0
    await write(database, then(near, "sla_warning").recording())
    samples = await scrape(api)
    assert (samples["workflow_pending_count"], samples["workflow_near_sla_breach_count"]) == (2, 1)
    await write(database, then(near, "sla_warning").decide().recording())
    samples = await scrape(api)
    assert (samples["workflow_pending_count"], samples["workflow_near_sla_breach_count"]) == (1, 0)


async def test_lateness_runs_from_due_to_recorded(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    first = escalated(opened)
    second = escalated(first)
    early = escalated(second)  # the engine's clock may be ahead of ours: that is not late
    await write(database, opened.recording())
    await write(database, first.recording(), late=timedelta(seconds=0.2))
    await write(database, second.recording(), late=timedelta(seconds=20))
    await write(database, early.recording(), late=timedelta(seconds=-3))

    samples = await scrape(api)
    name = "workflow_escalation_duration_seconds"
    assert [samples[f'{name}_bucket{{le="{le}"}}'] for le in ("0.05", "0.25", "10.0", "30.0", "+Inf")] == [
        1,
        2,
        2,
        3,
        3,
    ]
    assert (samples[f"{name}_count"], samples[f"{name}_sum"]) == (3, pytest.approx(20.2))
    late = (await api.get("/metrics/workflow-escalations")).json()["lateness_seconds"]
    assert late == {"escalations": 3, "p50": pytest.approx(0.2), "p95": pytest.approx(20), "max": pytest.approx(20)}


async def test_what_history_took_back_is_not_counted_twice(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    lost = escalated(opened)
    await write(database, opened.recording(), lost.recording(), late=timedelta(seconds=0.2))
    again = escalated(opened.moved(timedelta(seconds=5)))
    await write(database, again.recording(in_history=True), late=timedelta(seconds=0.2))
    samples = await scrape(api)
    assert samples["workflow_tasks_escalated_total"] == 1
    assert samples["workflow_escalation_duration_seconds_count"] == 1


async def test_a_counter_never_goes_down_and_makes_good_for_it_later(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    await write(database, opened.recording(), opened.remind().recording())
    # The reminder was lost with its worker: somebody commented at that place in the chain, and it came after that.
    commented = opened.moved(timedelta(seconds=5)).comment("soon")
    await write(database, commented.recording(in_history=True))
    assert (await scrape(api))["workflow_tasks_reminded_total"] == 1
    reminded = commented.remind()
    await write(database, reminded.recording())
    assert (await scrape(api))["workflow_tasks_reminded_total"] == 1
    await write(database, reminded.remind().recording())
    assert (await scrape(api))["workflow_tasks_reminded_total"] == 2


async def test_another_process_shows_the_same_numbers_also_after_a_restart(api: ApiDesk, database_url: str) -> None:
    await write(api.database, Story(request_id="r1").open("bob").recording())
    mine = await scrape(api)
    other = Database(database_url)
    async with api_desk(other, await no_engine()) as there:
        theirs = await scrape(there)
    await other.close()

    def stored(samples: dict[str, float]) -> dict[str, float]:
        return {name: value for name, value in samples.items() if not name.startswith("process_")}

    assert stored(mine) == stored(theirs)


async def test_executions_carry_the_type_of_their_process(api: ApiDesk, database: Database) -> None:
    with writing(database) as session:
        session.add(
            DefinitionVersion(
                id="tpl",
                name="Onboarding",
                version="1.0.0",
                template_type="onboarding",
                status="published",
                digest="",
                blueprint={},
                created_by="desi",
                created_at=NOW,
            )
        )
    await write(database, Story(request_id="r1").open("bob").recording())
    await write(database, Story(request_id="r1").open("bob").decide().recording())
    samples = await scrape(api)
    assert samples['workflow_execution_total{status="completed",type="onboarding"}'] == 1
    assert samples['workflow_execution_total{status="completed",type="approval"}'] == 0


async def test_a_message_that_is_given_up_counts_and_is_listed(api: ApiDesk, database: Database) -> None:
    await write(database, Story(request_id="r1").open("bob").recording())
    with writing(database) as session:
        for key, lease in (("a", "mine"), ("b", "mine"), ("c", "somebody's")):
            session.add(
                NotificationMessage(
                    key=key,
                    channel="mail",
                    request_id="r1",
                    seq=2,
                    hash="",
                    event="task_opened",
                    person="bob",
                    status="pending",
                    lease=lease,
                    created_at=NOW,
                    next_attempt_at=NOW,
                )
            )
    failed = [
        AttemptResult(
            key=key,
            channel="mail",
            request_id="r1",
            hash="",
            lease="mine",
            status=status,
            error="no such host",
            again_at=NOW,
        )
        for key, status in (("a", "failed"), ("b", "pending"), ("c", "failed"))
    ]
    await database.write(finish_all, failed, NOW)

    assert (await scrape(api))["workflow_escalation_failures_total"] == 1
    seen = (await api.get("/metrics/workflow-escalations", as_="audrey")).json()
    assert [(f["kind"], f["request_id"], f["why"]) for f in seen["failures"]] == [
        ("notification_failed", "r1", "mail: no such host")
    ]


async def test_the_json_says_what_prometheus_is_told(api: ApiDesk, database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carl")
    late = replace(opened, tasks=(replace(opened.tasks[0], sla_state="breached"), opened.tasks[1]))
    skipped = then(
        then(late, "sla_breached"), "escalation_skipped", to="role:cfo", why="nobody there may take the task"
    )
    await write(database, opened.recording(), then(late, "sla_breached").recording(), skipped.recording())

    answer = await api.get("/metrics/workflow-escalations/", as_="adam")
    assert answer.status_code == 200, answer.text
    seen, samples = answer.json(), await scrape(api)
    for name in (*COUNTERS, "workflow_tasks_opened_total", "workflow_pending_count", "workflow_near_sla_breach_count"):
        assert seen[name] == samples[name]
    assert seen["workflow_escalation_duration_seconds"]["count"] == 0
    assert seen["lateness_seconds"] == {"escalations": 0, "p50": None, "p95": None, "max": None}
    assert seen["breached_count"] == 1
    assert seen["stages"] == [
        {"template": "Expense approval", "stage": "Manager Approval", "pending": 2, "near_breach": 0, "breached": 1}
    ]
    assert [(f["kind"], f["task_id"], f["why"]) for f in seen["failures"]] == [
        ("escalation_skipped", "r1.1", "role:cfo: nobody there may take the task")
    ]


async def test_only_auditors_and_admins_see_which_requests_failed(api: ApiDesk) -> None:
    assert (await api.get("/metrics/workflow-escalations", as_=None)).status_code == 401
    assert (await api.get("/metrics/workflow-escalations", as_="ann")).json()["failures"] is None
    assert (await api.get("/metrics/workflow-escalations", as_="audrey")).json()["failures"] == []


async def test_scrapers_need_a_token_only_where_one_is_set(database: Database) -> None:
    async with api_desk(database, await no_engine(), metrics_token="a token of the scraper") as there:
        assert (await there.get("/metrics/prometheus", as_=None)).status_code == 401
        assert (await there.get("/metrics/prometheus", as_="adam")).status_code == 401
        headers = {"Authorization": "Bearer a token of the scraper"}
        sent = await there.call("GET", "/metrics/prometheus", as_=None, headers=headers)
        assert sent.status_code == 200


async def test_openmetrics_is_spoken_to_those_who_ask_for_it(api: ApiDesk) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await api.call("GET", "/metrics/prometheus", as_=None, headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_a_scrape_reads_no_audit_entries(api: ApiDesk, database: Database) -> None:
    said: list[str] = []
    engine = database._reader
    event.listen(engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    await scrape(api)
    assert any("metric_total" in statement for statement in said)
    assert not any("audit_entry" in statement for statement in said)


async def test_new_counters_and_histograms_need_a_line_each(database: Database) -> None:
    await database.write(count, increment("action_execution_total", "send_mail", "fast", by=2))
    await database.write(count, observation("workflow_suggestion_confidence", 0.97))
    await database.write(count, increment(FAILURES, by=0))
    with reading(database) as session:
        found = totals(session.connection())
    assert found.values["action_execution_total"] == {("send_mail", "fast"): 2}
    confidence = found.histograms["workflow_suggestion_confidence"][()]
    assert (confidence.count, confidence.sum, dict(confidence.buckets)["0.95"]) == (1, pytest.approx(0.97), 0)
    assert {family.name for family in FAMILIES} == set(found.values) | set(found.histograms)


@pytest_asyncio.fixture
async def stored(sqlite_url: str) -> AsyncIterator[Database]:
    opened = Database(sqlite_url)
    yield opened
    await opened.close()


async def test_an_approval_on_the_engine_moves_the_metrics(client: Client, stored: Database) -> None:
    clock = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
    await store_people(stored)
    async with desk(client, stored) as office, api_desk(stored, client) as api:
        handle = await office.start(EXPENSE, client=clock.client)
        await clock.fast_forward(handle, timedelta(hours=25))

        async def over() -> bool:
            return (await scrape(api))["workflow_tasks_escalated_total"] == 1

        await until(over, what="the escalation")
        samples = await scrape(api)
        assert samples["workflow_tasks_reminded_total"] >= 2
        assert samples["workflow_tasks_over_sla_total"] == 1
        assert samples["workflow_escalation_duration_seconds_count"] == 1
        assert samples["workflow_pending_count"] == 1
        decide = Decide(by=by("dora"), task_id=f"{handle.id}.1", decision="approve")
        await handle.execute_update(ApprovalWorkflow.decide, decide)
        await handle.result()
        samples = await scrape(api)
        assert samples['workflow_execution_total{status="completed",type="approval"}'] == 1
        assert samples["workflow_pending_count"] == 0
