"""Notification templates, messages, webhooks and preferences over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update
from sqlmodel import col

from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import defaults
from service.administration.notifications import CHANNELS
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import ChannelRoute
from storage.tables.approvals import ApprovalRequest, IdempotentCall, Outbox
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.documented import document
from tests.integration.recordings import Story, write
from tests.stored import reading, writing

TEMPLATES = "/workflow/notification-templates/"
WEBHOOKS = "/workflow/webhooks/"
MINE = "/workflow/people/me/preferences/"
WORDS = {
    "subject": "Decide: {{ request.title }}",
    "text": "See {{ request.url }}",
    "html": "<p>{{ request.title }}</p>",
}
HOOK = {"url": "http://127.0.0.1:9/hook", "events": ["completed"], "description": "The ERP"}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    notify = NotifySettings(webhook_allow_loopback=True, public_url="https://placet.example.org")
    async with api_desk(database, await no_engine(), seconds=1, notify=notify) as opened:
        yield opened


async def put(desk: ApiDesk, path: str, body: Any, *, as_: str = "desi") -> Any:
    return await desk.call("PUT", path, body=body, as_=as_)


async def told(database: Database, request_id: str = "req-1", owner: str = "olivia") -> str:
    """Store a request of ann's that bob is asked about, give the notice to mail and chat, and return its key."""
    story = Story(request_id=request_id).open("bob", requester="ann")
    now = datetime.now(UTC)
    with writing(database) as session:
        write(session, replace(story.recording(), owner=f"user:{owner}", requester="ann"), now)
        session.execute(update(Outbox).values(status="ready"))
    with reading(database) as session:
        row = session.scalars(select(Outbox)).one()
    leaves = [ChannelRoute(channel="mail", not_before=now), ChannelRoute(channel="chat", not_before=now)]
    await database.write(delivery_queue.plan, [(row, leaves)], now)
    return row.key


async def fail(database: Database, channel: str) -> None:
    with writing(database) as session:
        message = col(NotificationMessage.channel) == channel
        session.execute(update(NotificationMessage).where(message).values(status="failed", last_error="550 no"))


async def test_a_template_is_edited_versioned_and_restored(desk: ApiDesk) -> None:
    shipped = (await desk.get(f"{TEMPLATES}task_opened/", as_="desi")).json()
    assert (shipped["version"], shipped["versions"]) == (0, [])
    assert (await put(desk, f"{TEMPLATES}task_opened/", WORDS)).json() == {"name": "task_opened", "version": 1} | WORDS
    second = await put(desk, f"{TEMPLATES}task_opened", WORDS | {"text": "Now", "note": "Shorter"}, as_="adam")
    assert (second.status_code, second.json()["version"]) == (200, 2)
    whole = (await desk.get(f"{TEMPLATES}task_opened", as_="adam")).json()
    versions = [(v["version"], v["status"], v["note"], v["created_by"]) for v in whole["versions"]]
    assert versions == [(2, "active", "Shorter", "user:adam"), (1, "retired", None, "user:desi")]
    assert (await put(desk, f"{TEMPLATES}task_opened/", {"restore": 1})).json()["text"] == WORDS["text"]
    again = (await put(desk, f"{TEMPLATES}task_opened/", {"restore": 0})).json()
    assert (again["version"], again["text"]) == (0, shipped["text"])


async def test_templates_are_listed_by_name_a_page_at_a_time(desk: ApiDesk) -> None:
    names: list[str] = []
    cursor = ""
    while True:
        page = (await desk.get(f"{TEMPLATES}?limit=9{cursor}", as_="desi")).json()
        names += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == sorted(defaults())
    assert (await desk.get(f"{TEMPLATES}?cursor=x", as_="desi")).status_code == 422


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"subject": "A", "text": "B"}, [""]),
        ({"restore": 1, "text": "B"}, [""]),
        ({"restore": "1"}, ["/restore"]),
        ({"restore": -1}, ["/restore"]),
        (WORDS | {"html": "{% if %}"}, ["/html"]),
        (WORDS | {"text": "{{ request.__class__ }}"}, ["/text"]),  # only rendering shows it
        (WORDS | {"text": "x" * 40_000}, ["/text"]),
        (WORDS | {"colour": "red"}, ["/colour"]),
    ],
)
async def test_words_that_break_are_refused_and_change_nothing(
    desk: ApiDesk, body: dict[str, Any], places: list[str]
) -> None:
    answer = await put(desk, f"{TEMPLATES}reminded/", body)
    assert (answer.status_code, pointers(answer)) == (422, places), answer.text
    assert (await desk.get(f"{TEMPLATES}reminded/", as_="desi")).json()["version"] == 0


async def test_what_is_not_there_is_not_found(desk: ApiDesk) -> None:
    assert (await desk.get(f"{TEMPLATES}nothing/", as_="desi")).status_code == 404
    assert (await put(desk, f"{TEMPLATES}nothing/", WORDS)).status_code == 404
    assert (await put(desk, f"{TEMPLATES}reminded/", {"restore": 7})).status_code == 404
    assert (await desk.post(f"{TEMPLATES}nothing/preview/", {}, as_="desi")).status_code == 404
    assert (await desk.post("/workflow/notifications/no:1:x:y/resend/", as_="adam")).status_code == 404
    assert (await desk.get(f"{WEBHOOKS}wh_no/", as_="adam")).status_code == 404
    assert (await desk.call("DELETE", f"{WEBHOOKS}wh_no/", as_="adam")).status_code == 404
    assert (await desk.get("/workflow/requests/no/notifications/")).status_code == 404


async def test_a_preview_shows_a_sample_or_a_request_that_the_caller_may_see(desk: ApiDesk) -> None:
    await told(desk.database, owner="desi")
    sample = await desk.post(f"{TEMPLATES}task_opened/preview/", {"subject": "Hi {{ person.name }}"}, as_="desi")
    assert sample.status_code == 200, sample.text
    assert sample.json()["subject"] == "Hi Grace"
    assert "/decide?token=SAMPLE" in sample.json()["text"], "a link that decides nothing"
    assert (await desk.post(f"{TEMPLATES}digest/preview/", as_="desi")).status_code == 200
    real = await desk.post(
        f"{TEMPLATES}task_opened/preview/", {"text": "{{ request.url }}", "request_id": "req-1"}, as_="desi"
    )
    assert "https://placet.example.org/requests/req-1" in real.json()["text"]
    assert "/decide" not in real.json()["text"], "no preview holds a link of somebody"
    other = {"request_id": "req-1"}
    assert (await desk.post(f"{TEMPLATES}reminded/preview/", other, as_="desi")).status_code == 404
    broken = await desk.post(f"{TEMPLATES}task_opened/preview/", {"text": "{{ 1 / 0 }}"}, as_="desi")
    assert broken.status_code == 422


async def test_a_designer_does_not_see_requests_of_others_in_a_preview(desk: ApiDesk) -> None:
    await told(desk.database)
    answer = await desk.post(f"{TEMPLATES}task_opened/preview/", {"request_id": "req-1"}, as_="desi")
    assert answer.status_code == 404


@pytest.mark.parametrize("person", ["ann", "audrey"])
async def test_only_designers_and_admins_have_to_do_with_templates(desk: ApiDesk, person: str) -> None:
    assert (await desk.get(TEMPLATES, as_=person)).status_code == 403
    assert (await desk.get(f"{TEMPLATES}reminded/", as_=person)).status_code == 403
    assert (await put(desk, f"{TEMPLATES}reminded/", WORDS, as_=person)).status_code == 403
    assert (await desk.post(f"{TEMPLATES}reminded/preview/", {}, as_=person)).status_code == 403


async def test_messages_of_a_request_show_their_status_for_each_channel(desk: ApiDesk) -> None:
    key = await told(desk.database)
    await fail(desk.database, "mail")
    path = "/workflow/requests/req-1/notifications/"
    got = await desk.get(f"{path}?limit=1", as_="olivia")
    assert got.status_code == 200, got.text
    first = got.json()
    rest = (await desk.get(f"{path}?cursor={first['next_cursor']}", as_="olivia")).json()
    chat, mail = first["items"] + rest["items"]
    assert (chat["key"], chat["channel"], chat["status"], chat["person"]) == (key, "chat", "pending", "user:bob")
    assert (mail["channel"], mail["status"], mail["error"], mail["next_attempt_at"]) == (
        "mail",
        "failed",
        "550 no",
        None,
    )
    assert {item["error"] for item in (await desk.get(path)).json()["items"]} == {None}, "the requester"
    assert (await desk.get(path, as_="zoe")).status_code == 404


async def test_a_failed_notice_is_sent_again_over_the_channel_that_failed(desk: ApiDesk) -> None:
    key = await told(desk.database)
    await fail(desk.database, "mail")
    path = f"/workflow/notifications/{key}/resend/"
    for person, status in (("ann", 403), ("bob", 403), ("audrey", 403), ("zoe", 404)):
        assert (await desk.post(path, as_=person)).status_code == status
    answer = await desk.post(path, {}, as_="olivia")
    assert answer.status_code == 200, answer.text
    assert answer.json()["queued"] == 1
    assert {m["channel"]: m["status"] for m in answer.json()["messages"]} == {"mail": "pending", "chat": "pending"}
    assert (await desk.post(path, as_="adam")).json()["queued"] == 0, "nothing has failed since"
    with writing(desk.database) as session:
        request = session.scalars(select(ApprovalRequest)).one()
        request.requester = "adam"
    assert (await desk.post(path, as_="adam")).status_code == 200, "who asked may remind, and an admin may do this"
    wrong = await desk.post(path, {"channel": "sms"}, as_="adam")
    assert (wrong.status_code, pointers(wrong)) == (422, ["/channel"])


async def test_a_webhook_is_added_with_a_secret_that_is_shown_once_and_stored_nowhere(desk: ApiDesk) -> None:
    made = await desk.post(WEBHOOKS, HOOK, as_="adam", key="k")
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert (await desk.post(WEBHOOKS, HOOK, as_="adam", key="k")).json() == made.json(), "the one answer"
    with reading(desk.database) as session:
        assert [row.answer for row in session.scalars(select(IdempotentCall))] == [None]
    second = (await desk.post(WEBHOOKS, HOOK | {"url": "http://127.0.0.1:9/two"}, as_="adam")).json()
    assert second["secret"] != secret
    shown = {name: value for name, value in made.json().items() if name != "secret"}
    assert (await desk.get(f"{WEBHOOKS}{shown['id']}", as_="adam")).json() == shown
    first = (await desk.get(f"{WEBHOOKS}?limit=1", as_="adam")).json()
    rest = (await desk.get(f"{WEBHOOKS}?cursor={first['next_cursor']}", as_="adam")).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [shown["id"], second["id"]]
    assert (await desk.call("DELETE", f"{WEBHOOKS}{shown['id']}/", as_="adam")).json() == shown
    assert (await desk.get(f"{WEBHOOKS}{shown['id']}/", as_="adam")).status_code == 404


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"url": ""}, ["/url"]),
        ({"url": "ftp://example.org"}, ["/url"]),
        ({"url": "http://169.254.169.254/latest"}, ["/url"]),
        ({"url": "http://no-such-host.invalid/"}, ["/url"]),
        ({"events": ["Not a kind"]}, ["/events/0"]),
        ({"events": ["completed", "complete"]}, ["/events/1"]),  # no entry is called so, and none would ever come
        ({"secret_ref": "env:PATH"}, ["/secret_ref"]),
        ({"secret_ref": "env:PLACET_WEBHOOK_SECRET_UNSET"}, ["/secret_ref"]),
        ({"secret": "whsec_mine"}, ["/secret"]),
    ],
)
async def test_a_webhook_that_cannot_work_is_refused(desk: ApiDesk, change: dict[str, Any], places: list[str]) -> None:
    answer = await desk.post(WEBHOOKS, HOOK | change, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, places), answer.text
    assert (await desk.get(WEBHOOKS, as_="adam")).json()["items"] == []


@pytest.mark.parametrize("person", ["ann", "desi", "audrey"])
async def test_only_admins_have_to_do_with_webhooks(desk: ApiDesk, person: str) -> None:
    assert (await desk.get(WEBHOOKS, as_=person)).status_code == 403
    assert (await desk.post(WEBHOOKS, HOOK, as_=person)).status_code == 403
    assert (await desk.get(f"{WEBHOOKS}x/", as_=person)).status_code == 403
    assert (await desk.call("DELETE", f"{WEBHOOKS}x/", as_=person)).status_code == 403


async def test_preferences_are_ones_own_and_stored_whole(desk: ApiDesk) -> None:
    before = (await desk.get(MINE, as_="bob")).json()
    assert (before["channels"], before["quiet_hours"], before["timezone"]) == (["mail"], None, "UTC")
    chosen = {
        "channels": ["mail", "sms"],
        "addresses": {"sms": "+49151"},
        "timezone": "Europe/Berlin",
        "quiet_hours": {"from": "20:00", "until": "07:30", "days": ["sat"]},
        "digest": {"at": ["09:00"]},
        "muted": ["commented"],
    }
    done = await put(desk, MINE, chosen, as_="bob")
    assert done.status_code == 200, done.text
    assert done.json()["quiet_hours"] == {"from": "20:00:00", "until": "07:30:00", "days": ["sat"]}
    assert (await desk.get(MINE, as_="bob")).json() == done.json()
    assert (await desk.get(MINE, as_="ann")).json() == before
    assert (await put(desk, MINE, done.json(), as_="bob")).json() == done.json(), "what is shown can be sent"
    assert (await put(desk, MINE, {}, as_="bob")).json() == before


async def test_preferences_leave_alone_what_others_keep_with_a_person(desk: ApiDesk) -> None:
    await put(desk, "/workflow/people/bob/", {"preferences": {"theme": "dark"}}, as_="adam")
    await put(desk, MINE, {"muted": ["reminded"]}, as_="bob")
    kept = (await desk.get("/workflow/people/bob/", as_="bob")).json()["preferences"]
    assert (kept["theme"], kept["muted"]) == ("dark", ["reminded"])


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"chanels": ["mail"]}, ["/chanels"]),
        ({"channels": ["mail", "fax"]}, ["/channels/1"]),
        ({"channels": "mail"}, ["/channels"]),
        ({"addresses": {"fax": "1"}}, ["/addresses/fax"]),
        ({"timezone": "Mars/Olympus"}, ["/timezone"]),
        ({"timezone": "../../etc/passwd"}, ["/timezone"]),
        ({"quiet_hours": {"from": "20:00"}}, ["/quiet_hours/until"]),
        ({"quiet_hours": {"from": "20:00Z", "until": "07:00Z"}}, ["/quiet_hours/from", "/quiet_hours/until"]),
        ({"quiet_hours": {"from": "20:00", "until": "07:00", "days": ["sunday"]}}, ["/quiet_hours/days"]),
        ({"digest": {"at": []}}, ["/digest/at"]),
        ({"muted": ["everything"]}, ["/muted/0"]),
        ([], [""]),
    ],
)
async def test_wrong_preferences_are_refused_at_each_place(desk: ApiDesk, body: Any, places: list[str]) -> None:
    answer = await put(desk, MINE, body, as_="bob")
    assert (answer.status_code, pointers(answer)) == (422, places), answer.text


def test_every_body_has_an_example_and_every_channel_a_preference() -> None:
    described = document()
    for path in ("notification-templates/{name}/", "notification-templates/{name}/preview/", "webhooks/"):
        method = "put" if path.endswith("{name}/") else "post"
        body = described["paths"][f"/api/v1/workflow/{path}"][method]["requestBody"]["content"]["application/json"]
        schema = body["schema"]
        name = (schema.get("$ref") or schema["anyOf"][0]["$ref"]).rsplit("/", 1)[1]
        assert described["components"]["schemas"][name]["examples"]
    mine = described["paths"]["/api/v1/workflow/people/me/preferences/"]["put"]["requestBody"]["content"]
    assert mine["application/json"]["examples"]
    assert CHANNELS == ("mail", "chat", "slack", "teams", "sms")
