"""Process templates over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.routes.examples import EXPENSE_APPROVAL
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers

PATH = "/workflow/process-templates/"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def test_blueprint_is_drafted_published_read_and_exported(desk: ApiDesk) -> None:
    made = await desk.post(PATH, EXPENSE_APPROVAL, as_="desi")
    assert made.status_code == 201, made.text
    one = f"{PATH}{made.json()['id']}/"
    assert {k: made.json()[k] for k in ("name", "version", "status")} == {
        "name": "Expense approval",
        "version": "1.0.0",
        "status": "draft",
    }
    published = await desk.post(f"{one}publish/", as_="desi")
    assert (published.status_code, published.json()["status"]) == (200, "published")
    assert (await desk.post(f"{one}publish/", as_="desi")).json() == published.json()
    assert (await desk.get(one)).json()["blueprint"] == EXPENSE_APPROVAL
    exported = await desk.get(f"{one}export/")
    assert exported.json() == EXPENSE_APPROVAL
    assert (await desk.get(f"{one}export/")).content == exported.content

    listed = (await desk.get(f"{PATH}?name=Expense%20approval&status=published")).json()
    assert [t["id"] for t in listed["items"]] == [made.json()["id"]]
    assert (await desk.get(f"{PATH}?status=draft")).json()["items"] == []


async def test_same_version_is_the_same_template_only_with_the_same_content(desk: ApiDesk) -> None:
    made = await desk.post(PATH, EXPENSE_APPROVAL, as_="desi")
    exported = (await desk.get(f"{PATH}{made.json()['id']}/export/")).json()
    again = await desk.post(f"{PATH}import_blueprint/", exported, as_="adam")
    assert (again.status_code, again.json()) == (201, made.json())
    changed = await desk.post(PATH, {**EXPENSE_APPROVAL, "owner": "user:dora"}, as_="desi")
    assert changed.status_code == 409
    later = await desk.post(PATH, {**EXPENSE_APPROVAL, "owner": "user:dora", "version": "1.1.0"}, as_="desi")
    assert later.status_code == 201


async def test_template_that_is_deprecated_is_not_in_use(desk: ApiDesk) -> None:
    one = f"{PATH}{(await desk.post(PATH, EXPENSE_APPROVAL, as_='desi')).json()['id']}/"
    assert (await desk.post(f"{one}deprecate/", as_="desi")).status_code == 409
    await desk.post(f"{one}publish/", as_="desi")
    assert (await desk.post(f"{one}deprecate/", as_="desi")).json()["status"] == "deprecated"
    assert (await desk.post(f"{one}publish/", as_="desi")).status_code == 409


async def test_only_designers_and_admins_change_templates(desk: ApiDesk) -> None:
    one = f"{PATH}{(await desk.post(PATH, EXPENSE_APPROVAL, as_='adam')).json()['id']}/"
    for person in ("ann", "audrey"):
        for path in (PATH, f"{PATH}import_blueprint/", f"{one}publish/", f"{one}deprecate/"):
            assert (await desk.post(path, EXPENSE_APPROVAL, as_=person)).status_code == 403
        assert (await desk.get(one, as_=person)).status_code == 200


async def test_unknown_template_is_404(desk: ApiDesk) -> None:
    for method, path in (("GET", ""), ("GET", "export/"), ("POST", "publish/")):
        assert (await desk.call(method, f"{PATH}unknown/{path}", as_="desi")).status_code == 404


def _changed(path: str, value: Any) -> dict[str, Any]:
    blueprint: dict[str, Any] = json.loads(json.dumps(EXPENSE_APPROVAL))
    *parents, last = path.strip("/").split("/")
    place: Any = blueprint
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    place[int(last) if isinstance(place, list) else last] = value
    return blueprint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/version", "one"),
        ("/name", ""),
        ("/owner", "king:x"),
        ("/colour", "red"),
        ("/variables/0/type", "money"),
        ("/variables/0/name", "a b"),
        ("/process_steps/0/approvers", []),
        ("/process_steps/0/approvers/0", "somebody (else)"),
        ("/process_steps/0/sla_hours", -1),
        ("/process_steps/0/sla_hours", True),
        ("/process_steps/0/quorum", "most"),
        ("/settings/timezone", "Mars/Olympus"),
        ("/graph_spec/edges/3/condition", "amount >"),
        ("/graph_spec/edges/3/condition", "colour == 'red'"),
        ("/graph_spec/edges/3/condition", 5),
        ("/graph_spec/edges/0/to", "nowhere"),
        ("/graph_spec/nodes/1/step", "No such step"),
        ("/graph_spec/nodes/1/type", "robot"),
    ],
)
async def test_wrong_blueprint_names_the_place(desk: ApiDesk, path: str, value: Any) -> None:
    answer = await desk.post(PATH, _changed(path, value), as_="desi")
    assert answer.status_code == 422, answer.text
    named = pointers(answer)
    # What spans the whole document, such as the version's form, may be told of the document.
    assert any(p and (path.startswith(p) or p.startswith(path)) for p in named) or path == "/version", named
    assert (await desk.get(PATH)).json()["items"] == []


@pytest.mark.parametrize("body", [None, [], "text", 5, {}, {"name": "x"}, {"variables": [10**300]}])
async def test_what_is_no_blueprint_is_422(desk: ApiDesk, body: Any) -> None:
    assert (await desk.post(PATH, body, as_="desi")).status_code == 422


async def test_large_whole_numbers_are_exported_as_they_came(desk: ApiDesk) -> None:
    form = {"type": "object", "properties": {"n": {"maximum": 10**20}}}
    blueprint = _changed("/process_steps/0/form", form)
    made = await desk.post(PATH, blueprint, as_="desi")
    assert (await desk.get(f"{PATH}{made.json()['id']}/export/")).json() == blueprint


async def test_check_shows_what_is_wrong_and_publishing_refuses_it(desk: ApiDesk) -> None:
    sound = await desk.post(f"{PATH}check/", EXPENSE_APPROVAL)
    assert (sound.status_code, sound.json()["ok"]) == (200, True), sound.text
    gap = _changed("/graph_spec/edges/4", {"from": "large", "to": "yes", "condition": "amount < 5000"})
    found = (await desk.post(f"{PATH}check/", gap)).json()
    assert found["ok"] is False
    (error,) = [f for f in found["findings"] if f["severity"] == "error"]
    assert error.keys() >= {"code", "severity", "pointer", "message", "witness"}
    assert float(error["witness"]["amount"]) == 5000
    drafted = await desk.post(PATH, gap, as_="desi")
    assert drafted.status_code == 201
    refused = await desk.post(f"{PATH}{drafted.json()['id']}/publish/", as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, [error["pointer"]])
    for nonsense in ([], "text", 5, {}):
        answer = await desk.post(f"{PATH}check/", nonsense)
        assert (answer.status_code, answer.json()["ok"]) == (200, False)
