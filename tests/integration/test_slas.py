"""SLAs on both databases: definitions, breaches that are stored once, figures, mails, and what history takes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update
from sqlmodel import col

from service.retention.running import delete_old_rows
from service.slas.monitoring import MOST_REMINDERS, SlaMonitor
from service.slas.verifying import verify_slas
from storage.database import Database
from storage.queries.slas import breaches, definitions
from storage.recording.metrics import MetricTotal, totals
from storage.tables.approvals import Outbox
from storage.tables.slas import SlaBreach, SlaExecution
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.integration.recordings import NOW, Story
from tests.integration.recordings import write as write_recording
from tests.stored import reading, writing
from worker.settings import Settings

SLAS, BREACHES = "/workflow/workflow-slas/", "/workflow/sla-breaches/"
HOUR = timedelta(hours=1)
AGAIN = timedelta(hours=24)


@dataclass
class Office:
    """The API and a monitor on one database, with a clock that the test sets."""

    desk: ApiDesk
    monitor: SlaMonitor
    process: str = ""
    now: datetime = NOW - HOUR
    posted: list[str] = field(default_factory=list)

    async def sla(self, **changes: Any) -> dict[str, Any]:
        """Add an SLA of two hours, critical after four."""
        body = {
            "name": "Within two hours",
            "template": self.process,
            "target_duration_seconds": 7200,
            "critical_threshold_seconds": 14_400,
            **changes,
        }
        made = await self.desk.post(SLAS, body, as_="desi")
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def record(self, *stories: Story, in_history: bool = False) -> None:
        """Write what happened last."""
        for story in stories:
            with writing(self.desk.database) as session:
                write_recording(session, story.recording(template=self.process, in_history=in_history), story.at)

    async def look(self, at: datetime) -> None:
        """Let the monitor look at a moment."""
        self.now = at
        await self.monitor.look(at)

    async def breaches(self, path: str = BREACHES, as_: str = "adam") -> list[dict[str, Any]]:
        """List breaches."""
        got = await self.desk.get(path, as_=as_)
        assert got.status_code == 200, got.text
        return list(got.json()["items"])

    async def figures(self, sla: dict[str, Any]) -> dict[str, Any]:
        """Read the figures of an SLA."""
        got = await self.desk.get(f"{SLAS}{sla['id']}/metrics/")
        assert got.status_code == 200, got.text
        return dict(got.json())

    def mails(self, event: str = "slo_breached") -> list[Outbox]:
        """Return what is in the outbox of an event."""
        with reading(self.desk.database) as session:
            query = select(Outbox).where(col(Outbox.event) == event).order_by(col(Outbox.key))
            return list(session.scalars(query))

    def counted(self) -> dict[str, float]:
        """Return how many breaches the metric counts, by severity."""
        with reading(self.desk.database) as session:
            values = totals(session.connection()).values["workflow_sla_breach_total"]
        return {labels[0]: value for labels, value in values.items() if value}


@pytest_asyncio.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    monitor = SlaMonitor(database, again=AGAIN)
    made: list[Office] = []
    async with api_desk(database, await no_engine(), clock=lambda: made[0].now if made else NOW - HOUR) as desk:
        made.append(Office(desk=desk, monitor=monitor))
        made[0].process = await desk.publish()
        yield made[0]


def severities(items: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(item["severity"] for item in items)


def begun(name: str = "r0") -> Story:
    return Story(request_id=name).open("bob", requester="ann")


def ended(story: Story, at: datetime) -> Story:
    return replace(story, at=at - timedelta(minutes=1)).decide()


def without_marks(sla: dict[str, Any]) -> dict[str, Any]:
    """Return an SLA as it is sent."""
    return {name: value for name, value in sla.items() if name != "id" and not name.endswith(("_by", "_at"))}


# --- definitions ---


async def test_an_sla_is_added_shown_changed_and_removed(office: Office) -> None:
    made = await office.sla(warning_threshold_seconds=3600, slo_target_percentage=95)
    assert made["id"]
    assert (made["stage"], made["slo_window_hours"], made["business_time"], made["enabled"]) == (None, 24, False, True)
    assert (made["target_duration_seconds"], made["slo_target_percentage"]) == (7200, 95)
    listed = (await office.desk.get(f"{SLAS}?template={office.process}")).json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    body = {
        name: made[name] for name in made if name not in {"id", "created_by", "created_at"} and "updated" not in name
    }
    changed = await office.desk.call("PUT", f"{SLAS}{made['id']}/", as_="adam", body={**body, "enabled": False})
    assert changed.json()["enabled"] is False
    other = await office.desk.call("PUT", f"{SLAS}{made['id']}/", as_="adam", body={**body, "business_time": True})
    assert (other.status_code, pointers(other)) == (422, ["/business_time"])
    gone = await office.desk.call("DELETE", f"{SLAS}{made['id']}/", as_="desi")
    assert gone.status_code == 200
    assert (await office.desk.get(f"{SLAS}{made['id']}/")).status_code == 404


async def test_lists_of_slas_go_on_where_a_page_ended(office: Office) -> None:
    made = [(await office.sla(name=f"sla {n}"))["id"] for n in range(3)]
    first = (await office.desk.get(f"{SLAS}?limit=2")).json()
    rest = (await office.desk.get(f"{SLAS}?limit=2&cursor={first['next_cursor']}")).json()
    assert sorted(item["id"] for item in [*first["items"], *rest["items"]]) == sorted(made)
    assert rest["next_cursor"] is None


async def test_the_same_key_is_the_same_sla(office: Office) -> None:
    body = {"name": "a", "template": office.process, "target_duration_seconds": 60}
    first, again = [await office.desk.post(SLAS, body, as_="desi", key="k") for _ in range(2)]
    assert first.json() == again.json()


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"warning_threshold_seconds": 7201}, ["/warning_threshold_seconds"]),
        ({"critical_threshold_seconds": 7199}, ["/critical_threshold_seconds"]),
        (
            {"warning_threshold_seconds": 8000, "critical_threshold_seconds": 100},
            ["/warning_threshold_seconds", "/critical_threshold_seconds"],
        ),
        ({"target_duration_seconds": 0}, ["/target_duration_seconds"]),
        ({"target_duration_seconds": "soon"}, ["/target_duration_seconds"]),
        ({"slo_target_percentage": 101}, ["/slo_target_percentage"]),
        ({"slo_window_hours": -1}, ["/slo_window_hours"]),
        ({"template": "Expence"}, ["/template"]),
        ({"stage": "Manger Approval"}, ["/stage"]),
        ({"targets": 1}, ["/targets"]),
    ],
)
async def test_what_cannot_be_is_refused_at_its_place(
    office: Office, changes: dict[str, Any], places: list[str]
) -> None:
    body = {"name": "a", "template": office.process, "target_duration_seconds": 7200, **changes}
    refused = await office.desk.post(SLAS, body, as_="desi")
    assert refused.status_code == 422, refused.text
    assert pointers(refused) == places


async def test_a_misspelt_process_or_stage_is_told_the_nearest_one(office: Office) -> None:
    body = {"name": "a", "template": office.process.lower(), "target_duration_seconds": 7200}
    assert f"did you mean {office.process!r}?" in (await office.desk.post(SLAS, body, as_="desi")).text
    body |= {"template": office.process, "stage": "manager aproval"}
    assert "did you mean 'Manager Approval'?" in (await office.desk.post(SLAS, body, as_="desi")).text


@pytest.mark.parametrize("person", ["ann", "audrey", "ava"])
async def test_only_designers_and_admins_define_slas(office: Office, person: str) -> None:
    body = {"name": "a", "template": office.process, "target_duration_seconds": 7200}
    assert (await office.desk.post(SLAS, body, as_=person)).status_code == 403


# --- forecasts ---


async def test_the_end_of_a_window_is_forecast_from_past_executions_and_open_ones(office: Office) -> None:
    sla = await office.sla(slo_target_percentage=95, slo_window_hours=24)
    path = f"{SLAS}{sla['id']}/forecast/"
    assert (await office.desk.get(path)).json() == {"state": "too_few"}
    for number in range(60):
        began = NOW + number * 2 * HOUR
        story = Story(request_id=f"p{number}", at=began).open("bob", requester="ann")
        await office.record(story, ended(story, began + (3 * HOUR if number % 10 == 0 else HOUR)))
    await office.record(Story(request_id="open", at=NOW + 119.5 * HOUR).open("bob", requester="ann"))
    await office.look(NOW + 120 * HOUR)
    answer = await office.desk.get(path)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["state"], said["sla_id"], said["target_slo"]) == ("ok", sla["id"], 95)
    assert (said["past_executions"], said["open_executions"], said["coverage"]) == (60, 1, 0.8)
    assert said["window_start"] == (NOW + 120 * HOUR).isoformat().replace("+00:00", "Z"), "the window that begins now"
    assert said["low"] <= said["expected_slo"] <= said["high"]
    assert said["expected_slo"] == pytest.approx(90, abs=5)
    assert 0.5 < said["breach_probability"] < 1
    assert said["held_out"]["windows"] > 5
    soon = (await office.desk.get(f"{path}?ahead_hours=1")).json()
    assert soon["window_end"] == (NOW + 121 * HOUR).isoformat().replace("+00:00", "Z")
    assert soon["high"] - soon["low"] < said["high"] - said["low"]


async def test_where_no_earlier_window_is_kept_a_forecast_is_refused_and_says_how_long_to_keep_them(
    office: Office,
) -> None:
    sla = await office.sla(slo_window_hours=240)
    path = f"{SLAS}{sla['id']}/forecast/?ahead_hours=1"
    for number in range(40):
        began = NOW + number * 8 * HOUR
        story = Story(request_id=f"p{number}", at=began).open("bob", requester="ann")
        await office.record(story, ended(story, began + HOUR))
    for _ in range(2):  # the second finds nothing left to judge
        await office.look(NOW + 330 * HOUR)
    assert (await office.desk.get(path)).json()["state"] == "ok"
    await delete_old_rows(office.desk.database, Settings(sla_executions_days=1).periods, office.now)
    refused = await office.desk.get(path)
    assert (refused.status_code, pointers(refused)) == (422, ["/slo_window_hours"])
    assert "PLACET_SLA_EXECUTIONS_DAYS raised to 20 or more" in refused.text
    assert (await office.figures(sla))["total_executions"] > 0, "the window itself is whole"


@pytest.mark.parametrize("ahead", ["0", "25", "nan", "soon"])
async def test_no_other_window_than_one_that_begins_by_now_is_forecast(office: Office, ahead: str) -> None:
    sla = await office.sla(slo_window_hours=24)
    refused = await office.desk.get(f"{SLAS}{sla['id']}/forecast/?ahead_hours={ahead}")
    assert refused.status_code == 422, refused.text
    assert pointers(refused) == ["/ahead_hours"]


# --- breaches ---


async def test_an_open_request_breaches_at_its_target_and_at_the_critical_threshold_once_each(office: Office) -> None:
    sla = await office.sla()
    await office.record(begun())
    await office.look(NOW + 2 * HOUR)
    assert await office.breaches() == []
    for _ in range(3):
        await office.look(NOW + 3 * HOUR)
    (one,) = await office.breaches()
    assert one["sla_id"] == sla["id"]
    assert (one["sla_name"], one["template"]) == ("Within two hours", office.process)
    assert (one["request_id"], one["task_id"], one["stage"], one["severity"]) == ("r0", None, None, "warning")
    assert (one["target_duration_seconds"], one["actual_duration_seconds"]) == (7200, 10_800)
    assert (one["breach_margin_seconds"], one["breach_margin_percentage"]) == (3600, 50)
    assert (one["acknowledged"], one["acknowledged_by"], one["acknowledged_at"], one["notes"]) == (
        False, None, None, None,
    )  # fmt: skip
    assert one["breached_at"] == (NOW + 2 * HOUR).isoformat().replace("+00:00", "Z")
    await office.look(NOW + 5 * HOUR)
    assert severities(await office.breaches()) == ["critical", "warning"]
    await office.record(ended(begun(), NOW + 6 * HOUR))
    await office.look(NOW + 7 * HOUR)
    found = await office.breaches()
    assert severities(found) == ["critical", "warning"]
    assert {item["actual_duration_seconds"] for item in found} == {6 * 3600}
    assert office.counted() == {"warning": 1, "critical": 1}


async def test_what_ended_while_nobody_watched_is_found(office: Office) -> None:
    await office.sla()
    await office.record(begun("r1"), begun("r2"), begun("r3"))
    await office.record(ended(begun("r1"), NOW + HOUR), ended(begun("r2"), NOW + 3 * HOUR))
    await office.record(ended(begun("r3"), NOW + 5 * HOUR))
    await office.look(NOW + 100 * HOUR)
    found = await office.breaches()
    assert sorted((item["request_id"], item["severity"]) for item in found) == [
        ("r2", "warning"), ("r3", "critical"), ("r3", "warning"),
    ]  # fmt: skip


async def test_two_monitors_at_once_store_and_count_each_breach_once(office: Office) -> None:
    await office.sla()
    await office.record(*(begun(f"r{n}") for n in range(30)))
    others = [SlaMonitor(office.desk.database, again=AGAIN) for _ in range(4)]
    await asyncio.gather(*(other.look(NOW + 3 * HOUR) for other in others))
    assert len(await office.breaches()) == 30
    assert office.counted() == {"warning": 30}
    assert len({mail.key for mail in office.mails()}) == len(office.mails())


async def test_what_had_ended_before_an_sla_counts_in_its_window_and_is_no_breach(office: Office) -> None:
    await office.record(begun())
    await office.record(ended(begun(), NOW + 5 * HOUR))
    office.now = NOW + 6 * HOUR
    sla = await office.sla()
    await office.look(NOW + 6 * HOUR)
    assert await office.breaches() == []
    assert (await office.figures(sla))["breached_executions"] == 1


async def test_a_stage_is_judged_by_each_of_its_visits(office: Office) -> None:
    await office.sla(stage="Manager Approval")
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    (one,) = await office.breaches()
    assert (one["stage"], one["task_id"]) == ("Manager Approval", "r0.1")


async def test_other_processes_and_slas_that_are_off_are_left_alone(office: Office) -> None:
    await office.sla(enabled=False)
    with writing(office.desk.database) as session:
        write_recording(session, begun("other").recording(template="Another"), NOW)
    await office.record(begun())
    await office.look(NOW + 9 * HOUR)
    assert await office.breaches() == []


async def test_working_time_is_counted_by_the_calendar_of_the_process(office: Office) -> None:
    hours = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    office.process = await office.desk.publish(settings={"calendar": {"hours": hours}})
    found = (await office.desk.get("/workflow/process-templates/?limit=500", as_="adam")).json()["items"]
    template_id = next(item["id"] for item in found if item["name"] == office.process)
    sla = await office.sla(business_time=True, target_duration_seconds=8 * 3600, critical_threshold_seconds=None)
    with writing(office.desk.database) as session:  # Monday at nine
        write_recording(session, begun().recording(template=office.process, template_id=template_id), NOW)
    await office.look(NOW + 20 * HOUR)  # eight hours of work are not over before Tuesday at nine
    assert await office.breaches() == []
    await office.look(NOW + 25 * HOUR)
    (one,) = await office.breaches()
    assert one["sla_id"] == sla["id"]
    assert one["actual_duration_seconds"] < 10 * 3600


async def test_what_history_does_not_hold_is_taken_back_with_its_mail_and_its_count(office: Office) -> None:
    await office.sla()
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    assert len(await office.breaches()) == 1
    late = Story(request_id="r0", at=NOW + 2 * HOUR).open("bob", requester="ann")  # what history holds
    await office.record(late, in_history=True)
    await office.look(NOW + 3 * HOUR)
    assert await office.breaches() == []
    assert office.mails() == []
    with reading(office.desk.database) as session:
        assert breaches.totals(session.connection()) == {"warning": 0, "critical": 0}
    await office.look(NOW + 5 * HOUR)  # a counter never goes down, and does not count the next one twice
    assert len(await office.breaches()) == 1
    assert office.counted() == {"warning": 1}


# --- who is told ---


async def test_owner_and_admins_are_told_of_a_breach_with_everything_about_it(office: Office) -> None:
    await office.sla(critical_threshold_seconds=None, slo_target_percentage=95)
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    mails = office.mails()
    assert sorted(mail.person for mail in mails) == ["adam", "olivia"]
    assert {mail.status for mail in mails} == {"ready"}
    assert mails[0].detail == {
        "severity": "warning",
        "sla": "Within two hours",
        "workflow": office.process,
        "stage": None,
        "target_seconds": 7200,
        "actual_seconds": 10_800,
        "margin_seconds": 3600,
        "margin_percent": "50.0",
        "executions": 1,
        "breached_executions": 1,
        "current_slo": "0.0",
        "target_slo": "95",
    }


async def test_the_warning_threshold_tells_the_owner_once_and_makes_no_breach(office: Office) -> None:
    await office.sla(warning_threshold_seconds=3600)
    await office.record(begun())
    for minutes in (61, 62, 90):
        await office.look(NOW + timedelta(minutes=minutes))
    assert [mail.person for mail in office.mails("slo_warning")] == ["olivia"]
    assert await office.breaches() == []
    assert office.counted() == {}


async def test_what_nobody_acknowledges_is_mailed_again_and_further_up_until_somebody_does(office: Office) -> None:
    await office.sla(critical_threshold_seconds=None)
    with writing(office.desk.database) as session:
        write_recording(session, begun().recording(template=office.process, owner="user:ann"), NOW)
    await office.look(NOW + 3 * HOUR)
    told = len(office.mails())
    await office.look(NOW + 3 * HOUR + AGAIN)
    again = {mail.person for mail in office.mails() if mail.detail.get("reminders") == 1}
    assert again == {"ann", "adam", "bob"}  # bob is ann's manager
    await office.look(NOW + 3 * HOUR + 2 * AGAIN)
    assert {mail.person for mail in office.mails() if mail.detail.get("reminders") == 2} == {
        "ann",
        "adam",
        "bob",
        "dora",
    }
    (one,) = await office.breaches()
    await office.desk.post(f"{BREACHES}{one['id']}/acknowledge/", {}, as_="ann")
    for days in range(3, 9):
        await office.look(NOW + 3 * HOUR + days * AGAIN)
    assert len(office.mails()) == told + 3 + 4


async def test_a_breach_is_mailed_again_only_so_often(office: Office) -> None:
    await office.sla(critical_threshold_seconds=None)
    await office.record(begun())
    for days in range(MOST_REMINDERS + 4):
        await office.look(NOW + 3 * HOUR + days * AGAIN)
    assert max(mail.detail.get("reminders", 0) for mail in office.mails()) == MOST_REMINDERS


# --- acknowledging ---


async def test_a_breach_is_acknowledged_once_by_its_owner_or_an_admin(office: Office) -> None:
    await office.sla(critical_threshold_seconds=None)
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    (one,) = await office.breaches(as_="olivia")  # the owner sees it
    assert await office.breaches(as_="zoe") == []
    assert (await office.desk.post(f"{BREACHES}{one['id']}/acknowledge/", as_="zoe")).status_code == 404
    assert len(await office.breaches(f"{BREACHES}unacknowledged/")) == 1
    done = await office.desk.post(f"{BREACHES}{one['id']}/acknowledge/", {"notes": "Two were ill."}, as_="olivia")
    assert done.status_code == 200
    assert done.json() == one | {
        "acknowledged": True,
        "acknowledged_by": "user:olivia",
        "acknowledged_at": done.json()["acknowledged_at"],
        "notes": "Two were ill.",
    }
    again = await office.desk.post(f"{BREACHES}{one['id']}/acknowledge/", as_="adam")
    assert again.status_code == 409
    assert await office.breaches(f"{BREACHES}unacknowledged/") == []
    assert len(await office.breaches(f"{BREACHES}?acknowledged=true")) == 1
    assert await office.breaches(f"{BREACHES}?acknowledged=false") == []
    assert (await office.desk.get(f"{BREACHES}{one['id']}/", as_="audrey")).json()["acknowledged"] is True
    acts = (await office.desk.get("/workflow/admin-acts/?kind=sla_breach_acknowledged", as_="adam")).json()["items"]
    assert [act["actor"] for act in acts] == ["user:olivia"]


async def test_an_auditor_sees_breaches_and_acknowledges_none(office: Office) -> None:
    await office.sla(critical_threshold_seconds=None)
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    (one,) = await office.breaches(as_="audrey")
    assert (await office.desk.post(f"{BREACHES}{one['id']}/acknowledge/", as_="audrey")).status_code == 403


async def test_breaches_are_filtered_and_paged(office: Office) -> None:
    sla = await office.sla()
    await office.record(*(begun(f"r{n}") for n in range(3)))
    await office.look(NOW + 5 * HOUR)
    assert len(await office.breaches(f"{BREACHES}?severity=critical")) == 3
    assert len(await office.breaches(f"{BREACHES}?sla_id={sla['id']}&template={office.process}")) == 6
    assert await office.breaches(f"{BREACHES}?template=other") == []
    seen, cursor = [], ""
    while cursor is not None:
        page = (await office.desk.get(f"{BREACHES}?limit=4{cursor and '&cursor=' + cursor}", as_="adam")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert (await office.desk.get(f"{BREACHES}?sevrity=critical", as_="adam")).status_code == 422


async def test_an_sla_with_breaches_is_switched_off_and_not_removed(office: Office) -> None:
    sla = await office.sla()
    await office.record(begun())
    await office.look(NOW + 3 * HOUR)
    assert (await office.desk.call("DELETE", f"{SLAS}{sla['id']}/", as_="desi")).status_code == 409


# --- figures ---


async def test_figures_are_right_before_anybody_has_watched_and_after(office: Office) -> None:
    sla = await office.sla(slo_target_percentage=50)
    nothing = await office.figures(sla)
    assert nothing | {"window_start": 0, "window_end": 0} == {
        "sla_id": sla["id"], "window_start": 0, "window_end": 0, "total_executions": 0, "breached_executions": 0,
        "current_slo": None, "target_slo": 50, "error_budget_remaining": None, "burn_rate": None, "state": "unknown",
        "least_executions": 10,
    }  # fmt: skip
    await office.record(*(begun(f"r{n}") for n in range(5)))
    await office.record(ended(begun("r1"), NOW + HOUR), ended(begun("r2"), NOW + HOUR), ended(begun("r3"), NOW + HOUR))
    office.now = NOW + 3 * HOUR  # two are open beyond their target
    live = await office.figures(sla)
    assert (live["total_executions"], live["breached_executions"], live["current_slo"]) == (5, 2, 60)
    assert (live["burn_rate"], live["error_budget_remaining"], live["state"]) == (0.8, 0.2, "ok")
    await office.look(NOW + 3 * HOUR)
    assert await office.figures(sla) == live
    office.now = NOW + 25 * HOUR + timedelta(minutes=30)  # those that ended are not in the window any more
    later = await office.figures(sla)
    assert (later["total_executions"], later["breached_executions"], later["state"]) == (2, 2, "breached")


async def test_other_thresholds_judge_the_window_anew_and_leave_breaches_as_they_are(office: Office) -> None:
    sla = await office.sla()
    await office.record(begun("r1"), begun("r2"))
    await office.record(ended(begun("r1"), NOW + HOUR), ended(begun("r2"), NOW + 3 * HOUR))
    await office.look(NOW + 4 * HOUR)
    body = without_marks(sla)
    changed = await office.desk.call(
        "PUT", f"{SLAS}{sla['id']}/", as_="desi", body=body | {"target_duration_seconds": 1800}
    )
    assert changed.status_code == 200
    assert (await office.figures(sla))["breached_executions"] == 2
    await office.look(NOW + 5 * HOUR)
    assert (await office.figures(sla))["breached_executions"] == 2
    assert [item["request_id"] for item in await office.breaches()] == ["r2"]


async def test_the_gauges_show_the_lowest_slo_of_a_process_and_none_without_data(office: Office) -> None:
    loose = await office.sla(target_duration_seconds=36_000, critical_threshold_seconds=None)
    tight = await office.sla()
    gauge = "workflow_sla_percentage"
    with reading(office.desk.database) as session:
        assert totals(session.connection()).values[gauge] == {}
    office.now = datetime.now(UTC)
    with writing(office.desk.database) as session:
        for sla in (loose, tight):  # metrics are of the time at which they are read
            definitions.change(session.connection(), sla["id"], {"since": NOW, "slo_window_hours": 1e6})
    await office.record(begun("r1"), begun("r2"))
    await office.record(ended(begun("r1"), NOW + HOUR), ended(begun("r2"), NOW + 3 * HOUR))
    await office.look(office.now)
    with reading(office.desk.database) as session:
        values = totals(session.connection()).values
    assert values[gauge] == {(office.process,): 50.0}
    labels = (office.process, "Within two hours", tight["id"])
    assert values["workflow_slo_executions"][labels] == 2
    assert values["workflow_slo_breached_executions"][labels] == 1
    assert values["workflow_slo_target_percentage"][labels] == 99
    assert values["workflow_started_total"] == {(office.process,): 2}


# --- verifying ---


# Whatever else happens, tests/integration/test_slas_recomputed.py draws it.


async def test_executions_are_forgotten_once_no_window_has_them_and_breaches_stay(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.slas.forgetting.BATCH", 2)
    sla = await office.sla(slo_window_hours=48)
    await office.sla(name="s", stage="Manager Approval", slo_window_hours=2000)
    await office.record(*(begun(f"r{n}") for n in range(6)))
    for n in range(5):
        await office.record(ended(begun(f"r{n}"), NOW + (3 + 24 * n) * HOUR))
        await office.look(NOW + (4 + 24 * n) * HOUR)
    now = NOW + 110 * HOUR
    await office.look(now)
    office.now = now
    before = await office.figures(sla), await office.breaches()
    await delete_old_rows(office.desk.database, Settings(sla_executions_days=1).periods, now)
    assert executions_of(office, sla) == ["r3", "r4", "r5"], "the window, and what is open"
    assert len(executions_of(office)) == 6, "the window of the other is longer"
    assert (await office.figures(sla), await office.breaches()) == before
    await office.look(now)
    assert executions_of(office, sla) == ["r3", "r4", "r5"]
    assert (await verify_slas(office.desk.database, now))["faults"] == []
    body = without_marks(sla) | {"slo_window_hours": 2000}
    assert (await office.desk.call("PUT", f"{SLAS}{sla['id']}/", as_="desi", body=body)).status_code == 200
    for _ in range(2):
        await office.look(now + HOUR)
    assert executions_of(office, sla) == [f"r{n}" for n in range(6)], "a longer window is counted from the entries"
    assert (await verify_slas(office.desk.database, now + HOUR))["faults"] == []
    with writing(office.desk.database) as session:
        session.execute(delete(SlaExecution).where(col(SlaExecution.request_id) == "r0"))
    assert not (await verify_slas(office.desk.database, now + HOUR))["ok"]


def executions_of(office: Office, sla: dict[str, Any] | None = None) -> list[str]:
    """Return whose executions an SLA has on record; without one, those of the stage's."""
    with reading(office.desk.database) as session:
        rows = session.scalars(select(SlaExecution)).all()
    mine = [row for row in rows if (row.sla_id == sla["id"] if sla else row.task_id is not None)]
    return sorted(row.request_id for row in mine)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (delete(SlaBreach), "has no breach (warning), and its entries have one"),
        (update(SlaBreach).values(visit=7), "that its entries do not have"),
        (update(SlaBreach).values(actual_duration_seconds=1), "of another duration"),
        (update(SlaExecution).values(breached=False), "is stored otherwise than its entries tell it"),
        (delete(SlaExecution), "was never judged"),
        (delete(MetricTotal).where(col(MetricTotal.name) == breaches.TOTAL), "counts 0 breaches (warning)"),
    ],
)
async def test_what_somebody_has_changed_is_found(office: Office, damage: Any, said: str) -> None:
    await office.sla()
    await office.record(begun())
    await office.record(ended(begun(), NOW + 3 * HOUR))
    await office.look(NOW + 4 * HOUR)
    await office.look(NOW + 20 * HOUR)
    assert (await verify_slas(office.desk.database, NOW + 20 * HOUR))["ok"]
    with writing(office.desk.database) as session:
        session.execute(damage)
    found = await verify_slas(office.desk.database, NOW + 20 * HOUR)
    assert not found["ok"]
    assert said in " ".join(found["faults"])
