"""The pages of SLAs and breaches: the dashboard, the forms, the list of breaches, and acknowledging one."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from sqlalchemy import insert

from service.principal import Principal
from storage.database import Database
from storage.queries.slas import breaches
from storage.tables.slas import SlaBreach, SlaExecution
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of, send
from tests.stored import writing
from web.routes.common import WebContext
from web.routes.live import _mark

HOUR = timedelta(hours=1)
FORM = {
    "name": "Within a day",
    "stage": "process",
    "target_duration_seconds": "1 d",
    "warning_threshold_seconds": "16 h",
    "critical_threshold_seconds": "2 d",
    "slo_target_percentage": "95",
    "slo_window_hours": "7 d",
    "business_time": "false",
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def page(desk: ApiDesk, address: str, person: str = "desi", *, status: int = 200, **headers: str) -> str:
    answer = await (await browser_of(desk, person)).get(address, headers=headers)
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


async def added(desk: ApiDesk, process: str, **changes: Any) -> dict[str, Any]:
    body = {"name": "Within a day", "template": process, "target_duration_seconds": 86_400, **changes}
    made = await desk.post("/workflow/workflow-slas/", body, as_="desi")
    assert made.status_code == 201, made.text
    return dict(made.json())


def store_executions(desk: ApiDesk, sla_id: str, *fared: bool) -> None:
    """Store an execution for each of these, one an hour, the last one a minute ago; True: it was late."""
    now = datetime.now(UTC)
    rows = [
        SlaExecution(
            sla_id=sla_id,
            request_id=f"r{n}",
            visit=1,
            began_at=now - timedelta(days=2),
            ended_at=now - timedelta(minutes=1) - n * HOUR,
            actual_seconds=10,
            breached=late,
            known_at=now - timedelta(minutes=1) - n * HOUR,
            head="h",
        ).model_dump()
        for n, late in enumerate(reversed(fared))
    ]
    with writing(desk.database) as session:
        session.execute(insert(SlaExecution), rows)


def store_breaches(desk: ApiDesk, count: int = 1, **more: Any) -> list[str]:
    """Store breaches, the latest first; return their ids."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "sla_id": "sla_1",
        "sla_name": "Within a day",
        "template": "Expense approval",
        "request_id": "r1",
        "severity": "warning",
        "target_duration_seconds": 86_400,
        "threshold_seconds": 86_400,
        "actual_duration_seconds": 129_600,
        "recorded_at": now,
        "owner": "user:desi",
    }
    begin = str(more.pop("begin", "br"))
    if begin not in {"br", "other"}:
        facts["request_id"] = begin
    rows = [
        SlaBreach(id=f"{begin}-{n}", visit=n, breached_at=now - n * HOUR, **facts | more).model_dump()
        for n in range(count)
    ]
    with writing(desk.database) as session:
        session.execute(insert(SlaBreach), rows)
    return [str(row["id"]) for row in rows]


def listed(text: str) -> list[str]:
    return re.findall(r'data-row-id="([^"]+)"', text)


async def test_an_sla_is_added_changed_switched_and_removed_by_forms(desk: ApiDesk) -> None:
    process = await desk.publish(owner="user:desi")
    desi = await browser_of(desk, "desi")
    chosen = html.unescape((await desi.get(f"/slas/new?process={quote(process)}")).text)
    assert '<option value="process" selected>The whole process</option>' in chosen
    assert '<option value="stage:Manager Approval">' in chosen
    form = FORM | {"process": process, "key": "one"}
    made = [await send(desi, "/slas", **form) for _ in range(2)]  # sent twice: added once
    assert {answer.status_code for answer in made} == {303}
    address = made[0].headers["location"].partition("?")[0]
    assert made[1].headers["location"].startswith(address)
    sla_id = address.rpartition("/")[2]
    stored = (await desk.get(f"/workflow/workflow-slas/{sla_id}/")).json()
    assert stored | {
        "name": "Within a day", "template": process, "stage": None, "target_duration_seconds": 86_400,
        "warning_threshold_seconds": 57_600, "critical_threshold_seconds": 172_800, "slo_window_hours": 168,
        "slo_target_percentage": 95, "business_time": False, "enabled": True,
    } == stored  # fmt: skip

    edit = html.unescape((await desi.get(f"{address}/edit")).text)
    assert [f'value="{text}"' in edit for text in ("1 d", "16 h", "2 d", "95", "7 d")] == [True] * 5
    assert 'name="stage"' not in edit  # what is measured stays
    changed = await send(desi, f"{address}/edit", **FORM | {"target_duration_seconds": "20 h", "name": "Sooner"})
    assert changed.status_code == 303
    off = await send(desi, f"{address}/switch", enabled="false")
    assert off.status_code == 303
    stored = (await desk.get(f"/workflow/workflow-slas/{sla_id}/")).json()
    assert (stored["name"], stored["target_duration_seconds"], stored["enabled"]) == ("Sooner", 72_000, False)
    assert "It is switched off" in await page(desk, address)
    assert "Switched off" in await page(desk, f"/slas?process={quote(process)}&state=off")
    assert listed(await page(desk, f"/slas?process={quote(process)}&state=on")) == []

    acts = (await desk.get("/workflow/admin-acts/?limit=100", as_="audrey")).json()["items"]
    ours = [act["kind"] for act in acts if act["target"] == f"sla:{sla_id}"]
    assert ours == ["sla_changed", "sla_changed", "sla_added"]
    (breach,) = store_breaches(desk, sla_id=sla_id, template=process)
    refused = await send(desi, f"{address}/remove")
    assert (refused.status_code, "It cannot be removed" in refused.text) == (409, True)
    with writing(desk.database) as session:
        breaches.remove(session.connection(), [breaches.get(session.connection(), breach)])
    assert (await send(desi, f"{address}/remove")).headers["location"] == "/slas?done=sla_removed"
    assert (await desi.get(address)).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"target_duration_seconds": "soon"}, "target_duration_seconds", "Enter a duration up to five years"),
        ({"target_duration_seconds": ""}, "target_duration_seconds", "Enter a duration up to five years"),
        ({"target_duration_seconds": "9 000 d"}, "target_duration_seconds", "Enter a duration up to five years"),
        ({"warning_threshold_seconds": "2 d"}, "warning_threshold_seconds", "must not be after the target"),
        ({"critical_threshold_seconds": "1 h"}, "critical_threshold_seconds", "must not be before the target"),
        ({"slo_target_percentage": "101"}, "slo_target_percentage", "at most 100"),
        ({"slo_target_percentage": "many"}, "slo_target_percentage", "at most 100"),
        ({"slo_window_hours": "2000 d"}, "slo_window_hours", "Enter a duration up to a year"),
        ({"stage": "stage:Nothing of the kind"}, "stage", "Choose the process or one of its stages"),
        ({"name": ""}, "name", "Enter 1 to 200 characters"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_entered_stays(
    desk: ApiDesk, wrong: dict[str, str], field: str, said: str
) -> None:
    process = await desk.publish()
    answer = await send(await browser_of(desk, "desi"), "/slas", **FORM | {"process": process} | wrong)
    assert answer.status_code == 422, answer.text
    text = html.unescape(answer.text)
    assert said in text.partition(f'id="f-{field}-error"')[2].partition("</p>")[0], text
    if field != "name":
        assert 'value="Within a day"' in text
    assert listed(await page(desk, f"/slas?process={quote(process)}")) == []


async def test_a_process_that_is_none_is_asked_for_again(desk: ApiDesk) -> None:
    desi = await browser_of(desk, "desi")
    for answer in (await desi.get("/slas/new?process=Nothing"), await send(desi, "/slas", **FORM, process="Nothing")):
        assert answer.status_code == 404
        assert "No published process is called “Nothing”." in html.unescape(answer.text)


async def test_the_dashboard_says_how_the_window_went_in_words_and_counts(desk: ApiDesk) -> None:
    process = await desk.publish()
    unknown = await added(desk, process, name="Nothing yet")
    sla = await added(desk, process, slo_target_percentage=80, slo_window_hours=24)
    store_executions(desk, sla["id"], *[False] * 18, *[True] * 2)
    text = await page(desk, f"/slas?process={quote(process)}", "rex")
    row = text.partition(f'data-row-id="{sla["id"]}"')[2].partition("</li>")[0]
    for said in ("Kept", "90 %", "of 80 %", "2 of 20 missed it in 1 day", "error budget left: 50 %", "burn rate: 0.5"):
        assert said in row, row
    other = text.partition(f'data-row-id="{unknown["id"]}"')[2].partition("</li>")[0]
    assert "No data" in other
    assert "100 %" not in other
    assert "Add an SLA" not in text  # rex designs nothing

    text = await page(desk, f"/slas/{sla['id']}", "rex")
    assert "18 kept it, 2 missed it" in text
    rows = re.findall(r'<th scope="row">[^<]+</th>((?:<td class="right">[^<]*</td>){4})', text)
    counts = [[int(one) for one in re.findall(r">(\d+)<", row)] for row in rows]
    assert len(counts) == 24
    assert [sum(column) for column in zip(*counts, strict=True)] == [20, 18, 2]
    measured = (await desk.get(f"/workflow/workflow-slas/{sla['id']}/metrics/")).json()
    assert (measured["total_executions"], measured["breached_executions"]) == (20, 2)


async def test_what_cannot_be_chosen_is_as_usual(desk: ApiDesk) -> None:
    for address in ("/slas?state=x&cursor=y", "/breaches?severity=x&acknowledged=y&whose=z&cursor=w&sla=%00"):
        assert await page(desk, address, "adam")


async def test_ten_thousand_breaches_are_paged_those_that_wait_first(desk: ApiDesk) -> None:
    waiting = store_breaches(desk, 60, begin="waits")
    at = datetime.now(UTC)
    store_breaches(desk, 9_940, begin="done", acknowledged_by="desi", acknowledged_at=at, template="Travel")
    address, seen = "/breaches", list[str]()
    for _ in range(4):
        text = await page(desk, address, "audrey")
        seen += listed(text)
        address = html.unescape(text.partition('rel="next" href="')[2].partition('"')[0])
        assert address
    assert seen[:60] == waiting
    assert seen[60:] == [f"done-{n}" for n in range(40)]
    for chosen in ("?acknowledged=yes", "?process=Travel", "?acknowledged=yes&severity=warning&whose=mine"):
        text = await page(desk, f"/breaches{chosen}", "adam")
        assert all(one.startswith("done") for one in listed(text))
    assert listed(await page(desk, "/breaches?acknowledged=no&process=Travel", "adam")) == []


async def test_a_page_that_ends_with_the_last_that_waits_goes_on_with_the_first_that_was_acknowledged(
    desk: ApiDesk,
) -> None:
    waiting = store_breaches(desk, 25, begin="waits")
    done = store_breaches(desk, 2, begin="done", acknowledged_by="desi", acknowledged_at=datetime.now(UTC))
    text = await page(desk, "/breaches", "desi")
    assert listed(text) == waiting
    following = html.unescape(text.partition('rel="next" href="')[2].partition('"')[0])
    assert listed(await page(desk, following, "desi")) == done


async def test_a_breach_says_all_that_the_api_says_and_leads_to_its_request(desk: ApiDesk) -> None:
    with writing(desk.database) as session:
        write(session, Story(request_id="r1").open("desi").recording(), datetime.now(UTC))
    (breach,) = store_breaches(desk, task_id="r1.1", stage="Manager Approval", severity="critical")
    for text in (await page(desk, "/breaches"), await page(desk, f"/breaches/{breach}")):
        for said in (
            "Critically late",
            "Manager Approval",
            "Expense approval",
            "50 %",
            "Grüße 😀",
            'href="/tasks/r1.1"',
        ):
            assert said in text, said
        assert 'href="/requests/r1"' in text
    # The request is not for everybody who sees the breach.
    (other,) = store_breaches(desk, begin="other", owner="user:rex")
    text = await page(desk, f"/breaches/{other}", "rex")
    assert "It is not for you to see, or was deleted." in text
    assert "Grüße" not in text


async def test_a_breach_is_acknowledged_in_place_with_a_note_once(desk: ApiDesk) -> None:
    breach, other = store_breaches(desk, 2)
    text = await page(desk, "/breaches")
    assert text.count('2<span class="sr"> of yours not acknowledged') == 1
    desi = await browser_of(desk, "desi")
    back = "/breaches?severity=warning"
    done = await send(desi, f"/breaches/{breach}/acknowledge", notes="Two were <ill>.", back=back)
    assert (done.status_code, done.headers["location"]) == (303, f"{back}&done=breach_acknowledged")
    text = await page(desk, back)
    assert "acknowledged by Desi" in text
    assert "Two were <ill>." in text
    assert listed(text) == [other, breach]

    late = await send(await browser_of(desk, "adam"), f"/breaches/{breach}/acknowledge", notes="I as well")
    assert late.status_code == 409
    told = html.unescape(late.text)
    assert "It was acknowledged already" in told
    assert "Desi did it on" in told
    assert "I as well" not in await page(desk, f"/breaches/{breach}")
    acts = (await desk.get("/workflow/admin-acts/?kind=sla_breach_acknowledged", as_="audrey")).json()["items"]
    assert [(act["target"], act["way"]) for act in acts] == [(f"sla_breach:{breach}", "page")]
    long = await send(desi, f"/breaches/{other}/acknowledge", notes="x" * 4_001)
    assert long.status_code == 422


async def test_who_may_not_acknowledge_sees_why_and_who_may_not_see_finds_nothing(desk: ApiDesk) -> None:
    (breach,) = store_breaches(desk)
    text = await page(desk, "/breaches", "audrey")
    assert "disabled aria-describedby" in text
    assert "The owner of the process or an admin acknowledges it." in text
    refused = await send(await browser_of(desk, "audrey"), f"/breaches/{breach}/acknowledge")
    assert refused.status_code == 403
    assert "There is no breach" in await page(desk, "/breaches", "rex")
    await page(desk, f"/breaches/{breach}", "rex", status=404)
    assert (await send(await browser_of(desk, "rex"), f"/breaches/{breach}/acknowledge")).status_code == 404
    assert listed(await page(desk, "/breaches?whose=mine", "adam")) == []
    assert listed(await page(desk, "/breaches", "adam")) == [breach]


async def test_an_open_page_is_told_how_many_breaches_wait_for_its_reader(desk: ApiDesk) -> None:
    here = WebContext(context=context_of(desk), health=None)  # type: ignore[arg-type]  # nobody asks how anything is
    desi = Principal(person="desi", access=frozenset({"designer"}))
    before, told = await desk.database.read(_mark, desi, here, "")
    assert told["breaches"] == ""
    store_breaches(desk, 3)
    after, told = await desk.database.read(_mark, desi, here, "")
    assert told["breaches"] == "3"
    assert before != after


async def test_the_pages_of_slas_are_german_for_german_readers(desk: ApiDesk) -> None:
    process = await desk.publish()
    sla = await added(desk, process, slo_target_percentage=80)
    store_executions(desk, sla["id"], *[False] * 18, *[True] * 2)
    store_breaches(desk)
    german = {"Accept-Language": "de"}
    text = await page(desk, f"/slas/{sla['id']}", **german)
    for said in ("Eingehalten", "Restliches Fehlerbudget", "18 eingehalten, 2 verfehlt", "Durchläufe"):
        assert said in text, said
    text = await page(desk, "/breaches", **german)
    for said in ("Ziel verfehlt", "12 Std. zu lang (50 %)", "Quittieren …"):
        assert said in text, said
