"""The action catalog over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from api.schemas.actions import _EXAMPLE as BOOK
from placet.definition.action_spec import ActionSpec
from storage.database import Database
from storage.queries.actions import record_execution, specs
from storage.tables.actions import ActionExecution
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.stored import reading
from worker.catalog import seed_catalog

PATH = "/workflow/action-catalog/"
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def test_action_is_added_read_by_name_and_id_and_changed(desk: ApiDesk) -> None:
    made = await desk.post(PATH, BOOK, as_="adam")
    assert made.status_code == 201, made.text
    action = made.json()
    assert {name: action[name] for name in BOOK} == BOOK
    assert action["statistics"] == {"count": 0, "mean_seconds": None, "p95_seconds": None, "success_rate": None}
    assert (await desk.get(f"{PATH}book_expense")).json() == action
    assert (await desk.get(f"{PATH}{action['id']}/")).json() == action
    changed = await desk.call("PUT", f"{PATH}book_expense/", as_="adam", body={**BOOK, "latency_class": "slow"})
    assert (changed.status_code, changed.json()["latency_class"]) == (200, "slow")
    assert [one["name"] for one in (await desk.get(PATH)).json()["items"]] == ["book_expense"]
    assert (await desk.post(PATH, BOOK, as_="adam")).status_code == 409


async def test_what_the_requirements_name_is_enough_to_add_an_action(desk: ApiDesk) -> None:
    body = {
        "name": "score",
        "is_idempotent": True,
        "latency_class": "instant",
        "side_effects": [],
        "input_schema": {"type": "object"},
        "output_schema": {"type": "object"},
    }
    answer = await desk.post(PATH, body, as_="desi")
    assert answer.status_code == 201, answer.text
    with reading(desk.database) as session:
        assert specs(session.connection(), ["score", "unknown"])["score"].is_idempotent is True


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"latency_class": "quick"}, ["/latency_class"]),
        ({"name": "no spaces"}, ["/name"]),
        ({"executor": "telepathy"}, ["/executor"]),
        ({"input_schema": {"type": "thing"}}, ["/input_schema/type"]),
        # every fault at once
        (
            {"input_schema": {"required": 3}, "output_schema": {"$ref": "https://example.com/x"}},
            ["/input_schema/required", "/output_schema/$ref"],
        ),
        ({"config": {"verb": "POST"}}, ["/config"]),
        ({"config": {"headers": {"X": {"secret": "lower"}}, "url": "https://a.example"}}, ["/config/headers/X"]),
        # a secret goes where the catalog says, not where the input does
        ({"config": {"headers": {"X": {"secret": "TOKEN"}}}}, ["/config/url"]),
        ({"cost": "cheap"}, ["/cost"]),
        ({"colour": "red"}, ["/colour"]),
        ({"is_idempotent": "perhaps"}, ["/is_idempotent"]),
    ],
)
async def test_wrong_action_names_every_place_and_is_not_stored(
    desk: ApiDesk, change: dict[str, Any], places: list[str]
) -> None:
    answer = await desk.post(PATH, {**BOOK, **change}, as_="adam")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer) == places
    assert (await desk.get(PATH)).json()["items"] == []


async def test_designers_change_the_catalog_and_only_admins_hand_out_secrets(desk: ApiDesk) -> None:
    harmless = {**BOOK, "config": {"url": "https://erp.example.com"}}
    assert (await desk.post(PATH, harmless, as_="ann")).status_code == 403
    assert (await desk.post(PATH, BOOK, as_="desi")).status_code == 403
    assert (await desk.post(PATH, harmless, as_="desi")).status_code == 201
    assert (await desk.call("PUT", f"{PATH}book_expense/", as_="desi", body=BOOK)).status_code == 403
    assert (await desk.call("PUT", f"{PATH}unknown/", as_="adam", body=harmless | {"name": None})).status_code == 404


async def test_statistics_and_metrics_come_from_the_attempts(desk: ApiDesk) -> None:
    await seed_catalog(desk.database)
    await seed_catalog(desk.database)  # what is there stays
    at_first = (await desk.get("/metrics/prometheus")).text
    assert 'action_execution_total{action_type="http",latency_class="medium"} 0.0' in at_first
    assert (
        'action_execution_duration_seconds_count{action_type="set_variables",latency_class="instant"} 0.0' in at_first
    )
    spec = ActionSpec(name="http_call", executor="http", is_idempotent=False, latency_class="medium")
    for number in range(20):
        attempt = ActionExecution(
            id=str(number),
            request_id="r",
            node="n",
            visit=1,
            action="http_call",
            attempt=number + 1,
            started_at=NOW,
            finished_at=NOW,
            duration=float(number + 1),
            ok=number >= 5,
            error=None if number >= 5 else "ActionFailed",
        )
        await desk.database.write(record_execution, attempt, spec)
        await desk.database.write(record_execution, attempt, spec)  # once, however often it is reported
    listed = (await desk.get(PATH)).json()["items"]
    assert [one["name"] for one in listed] == [
        "create_request",
        "http_call",
        "post_webhook",
        "send_mail",
        "set_variables",
    ]
    fared = {one["name"]: one["statistics"] for one in listed}
    assert fared["http_call"] == {"count": 20, "mean_seconds": 10.5, "p95_seconds": 19.0, "success_rate": 0.75}
    assert fared["send_mail"]["count"] == 0
    scraped = (await desk.get("/metrics/prometheus")).text
    assert 'action_execution_total{action_type="http",latency_class="medium"} 20.0' in scraped
    assert (
        'action_execution_duration_seconds_bucket{action_type="http",latency_class="medium",le="10.0"} 10.0' in scraped
    )
