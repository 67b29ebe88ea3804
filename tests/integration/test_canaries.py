"""Canaries: a new version is given a share of the requests, compared with the old one, and reverted where it harms."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from typer.testing import CliRunner

from cli.main import app
from insight.canary.assignment import Arm, arm_of
from placet.errors import Unavailable
from service.canaries.monitoring import NEVER_BEGUN, CanaryMonitor
from service.canaries.picking import pick
from service.context import Context
from service.engine import client as engine
from service.requests import RequestDraft, start_request
from storage.database import Database
from storage.queries import canaries
from storage.recording.metric_families import Labels
from storage.recording.metrics import CANARY_REQUESTS, totals
from storage.tables.approvals import Outbox
from storage.tables.canaries import CanaryRequest
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine, pointers
from tests.approvals import EXPENSE
from tests.integration.recordings import NOW, Story
from tests.integration.recordings import write as write_recording
from tests.integration.test_service_requests import ANN
from tests.stored import reading, writing
from workflows.interface import Start

CANARIES, TEMPLATES, ACTS = "/workflow/workflow-canaries/", "/workflow/process-templates/", "/workflow/admin-acts/"
LATER = NOW + timedelta(minutes=10)
NEWER = {**EXPENSE, "version": "1.1.0", "process_steps": [{**EXPENSE["process_steps"][0], "sla_hours": 12}]}


@dataclass
class Office:
    """The API and a monitor on one database, and a process with a newer version that is a draft."""

    desk: ApiDesk
    monitor: CanaryMonitor
    process: str = ""
    draft: str = ""
    now: datetime = NOW
    known: list[str] = field(default_factory=list)

    async def version(self, blueprint: dict[str, Any] = NEWER) -> str:
        """Store a newer version as a draft, and return its id."""
        made = await self.desk.post(TEMPLATES, {**blueprint, "name": self.process}, as_="desi")
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return a canary that gets half of the requests."""
        return {
            "template": self.process,
            "version": "1.1.0",
            "share": 0.5,
            "horizon_seconds": 3600,
            "margins": {"outcome": 0.1},
            **changes,
        }

    async def begin(self, **changes: Any) -> dict[str, Any]:
        """Begin a canary."""
        made = await self.desk.post(CANARIES, self.body(**changes), as_="desi")
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def read(self, canary: dict[str, Any], as_: str = "desi") -> dict[str, Any]:
        """Read a canary."""
        got = await self.desk.get(f"{CANARIES}{canary['id']}/", as_=as_)
        assert got.status_code == 200, got.text
        return dict(got.json())

    def of_arm(self, canary: dict[str, Any], arm: Arm, count: int) -> list[str]:
        """Return ids of requests that belong there."""
        found: list[str] = []
        for number in range(10_000):
            name = f"{self.process} {number}"
            split = {"share": canary["share"], "people_sample": canary["people_sample"]}
            if name not in self.known and arm_of(canary["id"], name, **split) == arm:
                found.append(name)
                if len(found) == count:
                    break
        self.known += found
        return found

    async def give(self, canary: dict[str, Any], decision: dict[Arm, str], count: int = 12) -> list[str]:
        """Let requests be given their versions in turn, and be decided as their version says; return their ids."""
        of = {arm: self.of_arm(canary, arm, count) for arm in decision}
        ids = [name for turn in zip(*of.values(), strict=True) for name in turn]
        for place, name in enumerate(ids):
            arm = next(arm for arm, names in of.items() if name in names)
            at = NOW + timedelta(milliseconds=place)
            await self.desk.database.write(canaries.assign, canary["id"], name, arm, at)
            story = Story(request_id=name).open("bob", requester="ann")
            self.record(canary, story, story.decide(decision=decision[arm]))
        return ids

    def record(self, canary: dict[str, Any], *stories: Story) -> None:
        """Write what happened."""
        for story in stories:
            with writing(self.desk.database) as session:
                made = story.recording(template=self.process, template_id=canary["version_id"])
                write_recording(session, made, story.at)

    async def picks(self, name: str) -> str:
        """Return the version that a request is given."""
        header, _ = await self.desk.database.read(pick, self.process, name)
        return header.version

    async def acts(self, kind: str) -> list[dict[str, Any]]:
        """Return the administrative acts of a kind."""
        return list((await self.desk.get(f"{ACTS}?kind={kind}", as_="audrey")).json()["items"])

    async def counted(self, name: str = "workflow_canary_total") -> dict[Labels, float]:
        """Return the values of a metric."""
        return {**(await self.desk.database.read(totals)).values[name]}

    def mails(self) -> list[Outbox]:
        """Return what is told of reverted canaries."""
        with reading(self.desk.database) as session:
            query = select(Outbox).where(col(Outbox.event) == "canary_reverted").order_by(col(Outbox.person))
            return list(session.scalars(query))


@pytest_asyncio.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    made: list[Office] = []
    async with api_desk(database, await no_engine(), seconds=0.05, clock=lambda: made[0].now if made else NOW) as desk:
        made.append(Office(desk=desk, monitor=CanaryMonitor(database)))
        made[0].process = await desk.publish()
        made[0].draft = await made[0].version()
        yield made[0]


def measure(canary: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(one) for one in canary["comparisons"] if one["measure"] == name)


async def assigned(office: Office) -> dict[str, str]:
    with reading(office.desk.database) as session:
        return {row.request_id: row.arm for row in session.scalars(select(CanaryRequest))}


# --- beginning ---


async def test_a_canary_publishes_its_draft_and_says_what_was_declared(office: Office) -> None:
    made = await office.begin(notes="Half the time.")
    assert (made["status"], made["version"], made["baseline"]) == ("running", "1.1.0", "1.0.0")
    assert (made["share"], made["people_sample"], made["alpha"]) == (0.5, 0, 0.05)
    assert made["margins"] == {"duration_seconds": None, "outcome": 0.1, "sla": None, "cost": None}
    assert (made["began_by"], made["ended_by"], made["notes"]) == ("user:desi", None, "Half the time.")
    assert made["requests"] == {"new": 0, "old": 0, "sample": 0, "measured": 0}
    assert [one["measure"] for one in made["comparisons"]] == ["duration_seconds", "outcome", "sla"]
    assert measure(made, "outcome")["difference"] == {"low": -1, "high": 1}
    assert measure(made, "outcome")["verdict"] == "open"
    assert measure(made, "sla")["verdict"] == "not_guarded"
    version = (await office.desk.get(f"{TEMPLATES}{office.draft}/")).json()
    assert version["status"] == "published"
    assert [act["actor"] for act in await office.acts("canary_begun")] == ["user:desi"]
    listed = (await office.desk.get(f"{CANARIES}?template={office.process}&status=running", as_="audrey")).json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]


async def test_the_same_call_again_is_the_same_canary(office: Office) -> None:
    first = await office.desk.post(CANARIES, office.body(), as_="desi", key="k")
    again = await office.desk.post(CANARIES, office.body(), as_="desi", key="k")
    assert first.json() == again.json()


async def test_a_process_has_one_canary_at_a_time_and_its_versions_stay_meanwhile(office: Office) -> None:
    made = await office.begin()
    assert (await office.desk.post(CANARIES, office.body(), as_="desi")).status_code == 409
    third = await office.version({**NEWER, "version": "1.2.0", "description": "More"})
    for path in (f"{third}/publish/", f"{made['version_id']}/deprecate/", f"{made['baseline_id']}/deprecate/"):
        refused = await office.desk.post(f"{TEMPLATES}{path}", as_="desi")
        assert refused.status_code == 409, path
        assert "promote or revert it first" in refused.json()["detail"]
    assert (await office.desk.post(f"{CANARIES}{made['id']}/promote/", as_="desi")).is_success
    assert (await office.desk.post(f"{TEMPLATES}{third}/publish/", as_="desi")).is_success


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"margins": {}}, ["/margins"]),  # nothing that it could revert itself for
        ({"margins": {"cost": 5}}, ["/prices"]),
        ({"prices": {"approver_hour": 60}}, ["/most_cost"]),
        ({"margins": {"duration_seconds": 3600}}, ["/margins/duration_seconds"]),  # as much as the horizon
        ({"template": "Nothing of the kind"}, ["/template"]),
        ({"version": "7.0.0"}, ["/version"]),
        ({"version": "1.0.0"}, ["/version"]),  # the one that is published already, alone
        ({"share": 0.001}, ["/share"]),
        ({"share": 1}, ["/share"]),  # nothing would be left to compare with
        ({"share": 0}, ["/share"]),
        ({"sla_id": "sla_none"}, ["/sla_id"]),
        ({"alpha": 0.9}, ["/alpha"]),
        ({"who": "all"}, ["/who"]),
    ],
)
async def test_what_cannot_be_declared_is_refused_at_its_place(
    office: Office, changes: dict[str, Any], places: list[str]
) -> None:
    refused = await office.desk.post(CANARIES, office.body(**changes), as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, places), refused.text
    assert (await office.desk.get(f"{TEMPLATES}{office.draft}/", as_="desi")).json()["status"] == "draft"


async def test_a_version_that_takes_less_input_is_refused_for_nobody_knows_which_one_they_get(office: Office) -> None:
    await office.version(
        {
            **NEWER,
            "version": "2.0.0",
            "variables": [*EXPENSE["variables"], {"name": "reason", "type": "string", "required": True}],
        }
    )
    refused = await office.desk.post(CANARIES, office.body(version="2.0.0"), as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, ["/version"])
    assert "'reason'" in refused.json()["detail"]


async def test_who_may_see_begin_and_end_a_canary(office: Office) -> None:
    for person in ("ann", "audrey", "olivia"):
        assert (await office.desk.post(CANARIES, office.body(), as_=person)).status_code == 403
    made = await office.begin()
    path = f"{CANARIES}{made['id']}/"
    assert (await office.desk.get(path, as_="ann")).status_code == 404
    assert (await office.desk.get(CANARIES, as_="ann")).json()["items"] == []
    assert (await office.desk.post(f"{path}revert/", as_="ann")).status_code == 404
    assert (await office.desk.post(f"{path}revert/", as_="audrey")).status_code == 403
    # The owner of the process sees and ends it.
    assert [item["id"] for item in (await office.desk.get(CANARIES, as_="olivia")).json()["items"]] == [made["id"]]
    ended = await office.desk.post(f"{path}promote/", {"notes": "Well."}, as_="olivia")
    assert (ended.json()["status"], ended.json()["ended_by"], ended.json()["end_notes"]) == (
        "promoted",
        "user:olivia",
        "Well.",
    )


# --- which request is given which version ---


async def test_a_name_alone_is_split_by_the_share_and_a_version_that_is_named_is_given(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, Start] = {}

    async def keep(_context: Context, start: Start) -> None:
        started[start.opening.request_id] = start

    monkeypatch.setattr(engine, "start", keep)
    canary, context = await office.begin(), context_of(office.desk)

    async def start(name: str, version: str | None = None) -> str:
        draft = RequestDraft(template=office.process, version=version, input={"amount": "1"})
        with pytest.raises(Unavailable):  # nobody records it
            await start_request(context, ANN, draft, request_id=name)
        return started[name].plan.version

    names = [*office.of_arm(canary, "new", 3), *office.of_arm(canary, "old", 3)]
    assert [await start(name) for name in names] == ["1.1.0"] * 3 + ["1.0.0"] * 3
    assert [await start(name) for name in names] == ["1.1.0"] * 3 + ["1.0.0"] * 3  # again, the same
    assert await assigned(office) == dict(zip(names, ["new"] * 3 + ["old"] * 3, strict=True))
    for version in ("1.0.0", "1.1.0"):
        assert [await start(f"{name} named {version}", version) for name in names[2:4]] == [version] * 2
    assert len(await assigned(office)) == 6


async def test_a_version_that_passes_people_over_leaves_a_sample_with_them(office: Office) -> None:
    first, *_ = EXPENSE["process_steps"]
    two = [first, {**first, "stage_name": "Second look"}]
    office.process = await office.desk.publish({**EXPENSE, "process_steps": two})
    await office.version({**EXPENSE, "process_steps": [first], "version": "2.0.0"})
    refused = await office.desk.post(CANARIES, office.body(version="2.0.0", people_sample=0), as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, ["/people_sample"])
    canary = await office.begin(version="2.0.0", share=1)
    assert canary["people_sample"] == 0.1
    (sampled,), (new,) = office.of_arm(canary, "sample", 1), office.of_arm(canary, "new", 1)
    assert (await office.picks(sampled), await office.picks(new)) == ("1.0.0", "2.0.0")


# --- comparing ---


async def test_harm_that_shows_reverts_the_version_by_itself_and_is_told(office: Office) -> None:
    canary = await office.begin()
    await office.give(canary, {"new": "reject", "old": "approve"})
    assert await office.monitor.look(LATER) == 24
    ended = await office.read(canary)
    assert (ended["status"], ended["ended_by"], ended["ended_at"] is None) == ("reverted", None, False)
    assert ended["requests"] == {"new": 12, "old": 12, "sample": 0, "measured": 24}
    found = measure(ended, "outcome")
    assert (found["new"]["mean"], found["old"]["mean"]) == (0, 1)
    assert found["difference"]["high"] < -0.1
    assert ended["harm"] == found
    # New requests have the old version at once; it is the newest that is published again.
    (name,) = office.of_arm(canary, "new", 1)
    assert await office.picks(name) == "1.0.0"
    version = (await office.desk.get(f"{TEMPLATES}{office.draft}/", as_="desi")).json()
    assert version["status"] == "deprecated"
    (act,) = await office.acts("canary_reverted")
    assert (act["actor"], act["actor_type"], act["way"]) == ("system", "system", "system")
    assert act["detail"]["measure"] == "outcome"
    assert [mail.person for mail in office.mails()] == ["adam", "olivia"]
    assert {mail.status for mail in office.mails()} == {"ready"}
    assert office.mails()[0].detail["measure"] == "outcome"
    assert await office.monitor.look(LATER) == 0
    assert await office.counted() == {("began",): 1, ("promoted",): 0, ("reverted",): 0, ("harm",): 1}
    assert await office.counted(CANARY_REQUESTS) == {
        (office.process, "new"): 12,
        (office.process, "old"): 12,
        (office.process, "sample"): 0,
    }
    refused = await office.desk.post(f"{CANARIES}{canary['id']}/promote/", as_="desi")
    assert (refused.status_code, "reverted already" in refused.json()["detail"]) == (409, True)


async def test_without_a_difference_the_canary_goes_on_with_narrower_intervals(office: Office) -> None:
    canary = await office.begin()
    await office.give(canary, {"new": "approve", "old": "approve"})
    await office.monitor.look(LATER)
    shown = await office.read(canary)
    assert (shown["status"], shown["harm"], shown["requests"]["measured"]) == ("running", None, 24)
    outcome = measure(shown, "outcome")
    assert outcome["new"]["count"] == outcome["old"]["count"] == 12
    assert outcome["new"]["low"] > 0.3
    assert outcome["difference"]["low"] > -1
    assert measure(shown, "duration_seconds")["new"]["mean"] == 60


async def test_a_person_reverts_and_the_owner_and_admins_are_told(office: Office) -> None:
    canary = await office.begin()
    (name,) = office.of_arm(canary, "new", 1)
    assert await office.picks(name) == "1.1.0"
    ended = await office.desk.post(f"{CANARIES}{canary['id']}/revert/", {"notes": "Too soon."}, as_="desi")
    assert (ended.json()["status"], ended.json()["ended_by"]) == ("reverted", "user:desi")
    assert await office.picks(name) == "1.0.0"
    assert {(mail.person, mail.detail["notes"]) for mail in office.mails()} == {
        ("adam", "Too soon."),
        ("olivia", "Too soon."),
    }
    assert (await office.desk.post(f"{CANARIES}{canary['id']}/revert/", as_="desi")).status_code == 409
    assert await office.counted() == {("began",): 1, ("promoted",): 0, ("reverted",): 1, ("harm",): 0}
    assert set((await office.counted(CANARY_REQUESTS)).values()) == {0}, "there from the start"


async def test_a_promoted_version_is_given_to_all(office: Office) -> None:
    canary = await office.begin()
    names = [*office.of_arm(canary, "new", 1), *office.of_arm(canary, "old", 1)]
    assert (await office.desk.post(f"{CANARIES}{canary['id']}/promote/", as_="adam")).is_success
    assert [await office.picks(name) for name in names] == ["1.1.0", "1.1.0"]
    assert len(await office.acts("canary_promoted")) == 1
    assert office.mails() == []
    assert (await office.counted())["promoted",] == 1


async def test_a_canary_is_begun_listed_and_ended_on_the_command_line(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACET_DATABASE_URL", office.desk.database.url.render_as_string(hide_password=False))

    async def placet(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, ["canaries", *arguments])

    begin = ("begin", office.process, "1.1.0", "--share", "0.5", "--outcome-margin", "0.1", "--json")
    refused = await placet(*begin)
    assert refused.exit_code != 0
    assert "a command publishes nothing" in refused.output
    published = await office.desk.post(f"{TEMPLATES}{office.draft}/publish/", as_="desi")
    assert published.status_code == 200, published.text
    made = await placet(*begin)
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    shown = await office.read(told)
    assert shown["margins"] == told["margins"] == {"duration_seconds": None, "outcome": 0.1, "sla": None, "cost": None}
    assert [one["id"] for one in json.loads((await placet("list", "--status", "running", "--json")).stdout)] == [
        told["id"]
    ]
    assert "running" in (await placet("show", told["id"])).stdout
    ended = json.loads((await placet("revert", told["id"], "--notes", "Too soon.", "--json")).stdout)
    assert (ended["status"], ended["ended_by"], ended["end_notes"]) == ("reverted", "operator", "Too soon.")
    assert {act["actor"] for kind in ("canary_begun", "canary_reverted") for act in await office.acts(kind)} == {
        "operator"
    }
    assert (await placet("promote", told["id"])).exit_code != 0
    assert json.loads((await placet("list", "--status", "running", "--json")).stdout) == []


async def test_what_is_open_at_its_horizon_counts_as_it_is_then_and_stays_so(office: Office) -> None:
    canary = await office.begin(horizon_seconds=60)
    (name,) = office.of_arm(canary, "new", 1)
    await office.desk.database.write(canaries.assign, canary["id"], name, "new", NOW)
    story = Story(request_id=name).open("bob", requester="ann")
    office.record(canary, story)
    assert await office.monitor.look(NOW + timedelta(seconds=59)) == 0
    office.record(canary, late := story.breach())
    assert await office.monitor.look(LATER) == 1
    office.record(canary, late.moved(timedelta(days=1)).decide())
    assert await office.monitor.look(LATER + timedelta(days=2)) == 0
    shown = await office.read(canary)
    means = [measure(shown, one)["new"]["mean"] for one in ("duration_seconds", "outcome", "sla")]
    assert means == [60, 0, 1]  # its deadline passed at the horizon


async def test_a_request_is_compared_once_all_that_began_before_it_are_measured(office: Office) -> None:
    canary = await office.begin()
    (first,) = office.of_arm(canary, "old", 1)
    await office.desk.database.write(canaries.assign, canary["id"], first, "old", NOW - timedelta(seconds=1))
    await office.give(canary, {"new": "reject", "old": "approve"})
    await office.monitor.look(LATER)
    shown = await office.read(canary)
    assert (shown["status"], shown["requests"]["measured"]) == ("running", 24)
    assert measure(shown, "outcome")["new"]["count"] == 0
    # It has never begun: after a while the others are compared without it.
    await CanaryMonitor(office.desk.database).look(NOW + NEVER_BEGUN + timedelta(minutes=1))
    assert (await office.read(canary))["status"] == "reverted"


async def test_any_number_of_processes_may_watch_one_canary(office: Office) -> None:
    canary = await office.begin()
    await office.give(canary, {"new": "reject", "old": "approve"})
    monitors: Sequence[CanaryMonitor] = [CanaryMonitor(office.desk.database) for _ in range(3)]
    await asyncio.gather(*(monitor.look(LATER) for monitor in monitors))
    assert (await office.read(canary))["status"] == "reverted"
    assert len(await office.acts("canary_reverted")) == 1
    assert len(office.mails()) == 2


async def test_costs_are_compared_by_the_prices_that_were_declared(office: Office) -> None:
    canary = await office.begin(prices={"delay_hour": 60}, most_cost=10, margins={"cost": 2})
    await office.give(canary, {"new": "approve", "old": "approve"}, count=2)
    await office.monitor.look(LATER)
    cost = measure(await office.read(canary), "cost")
    assert (cost["new"]["mean"], cost["margin"], cost["most"]) == (1, 2, 10)  # a minute


async def test_an_sla_says_what_is_missed_where_one_is_named(office: Office) -> None:
    body = {"name": "Fast", "template": office.process, "target_duration_seconds": 30}
    sla = (await office.desk.post("/workflow/workflow-slas/", body, as_="desi")).json()
    canary = await office.begin(sla_id=sla["id"], margins={"sla": 0.1})
    await office.give(canary, {"new": "approve", "old": "approve"}, count=2)  # each takes a minute
    await office.monitor.look(LATER)
    assert measure(await office.read(canary), "sla")["new"]["mean"] == 1


async def test_without_a_canary_a_look_is_one_query(office: Office) -> None:
    asked: list[str] = []
    look_up, write = office.desk.database.look_up, office.desk.database.write
    for name, real in (("look_up", look_up), ("write", write)):

        async def noted(work: Any, *given: Any, _name: str = name, _real: Any = real, **more: Any) -> Any:
            asked.append(_name)
            return await _real(work, *given, **more)

        setattr(office.desk.database, name, noted)
    await office.monitor.look(LATER)
    assert asked == ["look_up"]
