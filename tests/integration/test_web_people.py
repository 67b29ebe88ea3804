"""The pages of people, groups, absences and tokens: what admins see of others, and what they do about it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert

from service.administration.person_document import MOST_ABSENCES
from storage.database import Database
from storage.queries.identity import tokens
from storage.queries.people import people, people_listing
from storage.queries.people.people_listing import PeopleFilter
from storage.tables.approvals import ApprovalTask, StoredPerson
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.approvals import person, store_people
from tests.integration.recordings import Story, write
from tests.pages import browser_of, send
from tests.stored import writing
from web.forms.absence import days_of
from web.languages import Wording

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


def away(start: timedelta, until: timedelta, substitute: str | None = None) -> list[dict[str, Any]]:
    return [{"from": (NOW + start).isoformat(), "until": (NOW + until).isoformat(), "substitute": substitute}]


def put_task(connection: Connection, ident: str, assignee: str | None, queue: str | None = None) -> None:
    task = ApprovalTask(
        id=ident,
        request_id=f"req-{ident}",
        position=0,
        stage="Manager",
        round=1,
        assignee=assignee,
        candidates=[],
        delegates=[],
        assigned_via="user",
        status="open",
        opened_at=NOW,
        sla_state="ok",
        queue=queue,
    )
    connection.execute(insert(ApprovalTask).values(**task.model_dump()))


def text_of(page: str) -> str:
    """Return what a page says, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def rows_of(page: str) -> list[str]:
    return [text_of(row) for row in re.findall(r'<li class="row">.*?</li>', page, re.DOTALL)]


async def test_people_are_found_by_name_group_and_role_and_those_who_left_on_request(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    several = [row.split()[0] for row in rows_of((await browser.get("/operations/people?q=o")).text)]
    assert (several, "Olivia" in several) == (sorted(several), True)
    (found,) = rows_of((await browser.get("/operations/people?q=DORA")).text)
    assert "reports to Carl" in found
    finance = rows_of((await browser.get("/operations/people?group=finance")).text)
    assert [row.split()[0] for row in finance] == ["Gus", "Gwen"]
    (cfo,) = rows_of((await browser.get("/operations/people?role=cfo")).text)
    assert "Carl" in cfo
    assert rows_of((await browser.get("/operations/people?q=gone")).text) == []
    (left,) = rows_of((await browser.get("/operations/people?q=gone&left=1")).text)
    assert "Has left" in left


async def test_ten_thousand_people_are_read_a_page_at_a_time_and_none_twice(desk: ApiDesk, database: Database) -> None:
    rows = [
        person(id=f"p{number:05}", name=f"Name {number // 3:05}", groups=["everybody"]).model_dump()
        for number in range(10_000)
    ]
    await database.write(lambda connection: connection.execute(insert(StoredPerson), rows).rowcount)
    browser = await browser_of(desk, "adam")
    page = (await browser.get("/operations/people?group=everybody")).text
    assert len(rows_of(page)) == 25
    assert len(page) < 60_000
    (last,) = rows_of((await browser.get("/operations/people?q=p09999")).text)
    assert "Name 03333" in last
    found: list[str] = []
    cursor = None
    chosen = PeopleFilter(group="everybody")
    while True:
        part = await database.read(people_listing.page, chosen, limit=1000, cursor=cursor, sort="name")
        found += [row.id for row in part.items]
        cursor = part.next_cursor
        if cursor is None:
            break
    assert (len(found), len(set(found))) == (10_000, 10_000)
    assert "and 9,995 more" in text_of((await browser.get("/operations/groups")).text)


async def test_one_person_is_shown_with_what_is_theirs(desk: ApiDesk, database: Database) -> None:
    with writing(database) as session:
        story = Story(request_id="req-1").open("bob", requester="ann")
        write(session, replace(story.recording(), owner="user:olivia", requester="ann", title="A <b>chair"), NOW)
    await database.write(
        lambda connection: tokens.issue(connection, "bob", ttl=timedelta(days=2), now=NOW, name="<i>ERP</i>")
    )
    await browser_of(desk, "bob")
    browser = await browser_of(desk, "adam")
    page = (await browser.get("/operations/people/bob")).text
    said = text_of(page)
    for part in ("Requester, Approver", "Dora", "Manager", "bob@example.com", "Expires soon", "Never used"):
        assert part in said, part
    assert "&lt;i&gt;ERP" in page
    assert "A &lt;b&gt;chair" in page
    assert "Log them out everywhere" in said
    assert (await browser.get("/operations/people/nobody")).status_code == 404


async def test_an_admin_says_that_somebody_is_away_and_who_stands_in(desk: ApiDesk, database: Database) -> None:
    browser = await browser_of(desk, "adam")
    path = "/operations/people/bob/away"
    days = {"first": NOW.date().isoformat(), "last": (NOW + 5 * DAY).date().isoformat()}
    assert (await send(browser, path, **days, substitute="Carl")).headers["location"].endswith("?done=saved")
    stored = (await database.read(people.get, "bob")).away
    assert [span["substitute"] for span in stored] == ["carl"], "the name of one person names them"
    assert (await send(browser, path, **days, substitute="carl")).status_code == 303
    assert len((await database.read(people.get, "bob")).away) == 1, "the same absence is there once"
    page = (await browser.get("/operations/people/bob")).text
    removed = re.search(r'name="remove" value="([^"]+)"', page)
    assert removed is not None
    assert (await send(browser, path, remove=unescape(removed[1]))).status_code == 303
    assert (await database.read(people.get, "bob")).away == []
    assert (await send(browser, "/operations/people/nobody/away", **days)).status_code == 404


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"first": "", "last": "2030-01-01"}, "Enter a day."),
        ({"first": "2030-01-02", "last": "2030-01-01"}, "before the first"),
        ({"substitute": "nobody at all"}, "No active person has this id"),
        ({"substitute": "gone"}, "No active person has this id"),
        ({"substitute": "bob"}, "nobody stands in for themself"),
        ({"move": "1"}, "Choose the substitute"),
        ({"last": "9999-12-31"}, "Enter a day."),
    ],
)
async def test_an_absence_that_cannot_be_is_refused_with_what_is_wrong(
    desk: ApiDesk, database: Database, entered: dict[str, str], message: str
) -> None:
    browser = await browser_of(desk, "adam")
    form = {"first": "2030-01-01", "last": "2030-01-09"} | entered
    for somebody, path in ((browser, "/operations/people/bob/away"), (await browser_of(desk, "bob"), "/me/away")):
        answer = await send(somebody, path, **form)
        assert answer.status_code == 422
        page = unescape(answer.text)
        assert message in page
        wrong = "first" if entered.get("first") == "" else list(entered)[-1]
        field = {"move": "substitute"}.get(wrong, wrong)
        label = {"substitute": "Substitute", "first": "First day", "last": "Last day"}[field]
        assert re.search(rf'<a href="#f-{field}">{label}</a>: [^<]*{message}', page), "above the form"
        assert re.search(rf'<p class="error" id="f-{field}-error"[^>]*>.*{message}', page), "beside its field"
    assert (await database.read(people.get, "bob")).away == []


async def test_an_absence_changes_nothing_else_of_a_person_and_the_oldest_make_room(
    desk: ApiDesk, database: Database
) -> None:
    over = [span for number in range(MOST_ABSENCES) for span in away(-(number + 2) * DAY, -(number + 1) * DAY)]
    bot = {"id": "bot", "actor_type": "agent", "roles": ["cfo"], "preferences": {"theme": "dark"}, "away": over}
    await store_people(database, (bot,))
    before = (await database.read(people.get, "bot")).model_dump()
    answer = await send(
        await browser_of(desk, "adam"), "/operations/people/bot/away", first="2030-01-01", last="2030-01-02"
    )
    assert answer.status_code == 303
    after = (await database.read(people.get, "bot")).model_dump()
    assert len(after["away"]) == MOST_ABSENCES
    assert min(span["until"] for span in after["away"]) > min(span["until"] for span in over)
    kept = before.keys() - {"away", "updated_at"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


async def test_absences_show_where_tasks_are_open_and_nobody_stands_in(desk: ApiDesk, database: Database) -> None:
    current = {"ann": "bob", "bob": None, "carl": "gone", "dora": "zoe", "zoe": "ann"}
    for ident, substitute in current.items():
        row = (await database.read(people.get, ident)).model_dump() | {"away": away(-DAY, DAY, substitute)}
        await store_people(database, (row,))
    for ident, span in (("gus", away(9 * DAY, 10 * DAY, "gwen")), ("gwen", away(90 * DAY, 91 * DAY))):
        await store_people(database, ((await database.read(people.get, ident)).model_dump() | {"away": span},))
    for ident in ("ann", "carl", "gus"):
        await database.write(put_task, f"t-{ident}", ident)
    page = (await (await browser_of(desk, "adam")).get("/operations/absences")).text
    rows = {row.split()[0]: row for row in rows_of(page)}
    assert list(rows)[:2] == ["Ann", "Carl"], "those for whom nobody stands in come first"
    assert "Nobody substitutes" in rows["Ann"], "her substitute is away as well, and has none"
    assert "Nobody substitutes" in rows["Carl"], "his substitute has left"
    assert "No substitute" in rows["Bob"], "nothing waits for him"
    assert "Gwen stands in" in rows["Gus"]
    assert "Gwen" not in rows, "that is later"
    assert "For 2 people who are away, tasks are open" in text_of(page)


async def test_groups_and_absences_of_many_are_read_a_page_at_a_time_and_none_twice(
    desk: ApiDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worded: list[datetime] = []

    def noted(at: datetime, wording: Wording) -> str:
        worded.append(at)
        return days_of(at, wording)

    monkeypatch.setattr("web.operations.people.days_of", noted)
    rows = [
        person(
            id=f"p{number:03}",
            name=f"N{number:03}",
            groups=[f"g{number:03}"],
            away=away(-DAY, DAY) if number < 70 else away(DAY, 2 * DAY),
        ).model_dump()
        for number in range(120)
    ]
    await database.write(lambda connection: connection.execute(insert(StoredPerson), rows).rowcount)
    browser = await browser_of(desk, "adam")
    for path, mark in (("/operations/groups", "g"), ("/operations/absences", "N")):
        found: list[str] = []
        page = (await browser.get(path)).text
        while True:
            rows_shown = rows_of(page)
            assert len(rows_shown) <= 50
            assert len(worded) <= 2 * 50, "what no page shows is not put into words"
            worded.clear()
            found += [row.split()[0] for row in rows_shown if re.match(rf" ?{mark}\d+ ", row)]
            following = re.search(r'rel="next" href="([^"]+)"', page)
            if following is None:
                break
            page = (await browser.get(unescape(following[1]))).text
        assert found == [f"{mark}{number:03}" for number in range(120)]
    assert (await browser.get("/operations/groups?cursor=x")).status_code == 422


async def test_groups_show_their_members_and_their_queues(desk: ApiDesk, database: Database) -> None:
    await database.write(put_task, "q1", None, "group:finance")
    page = (await (await browser_of(desk, "adam")).get("/operations/groups")).text
    rows = {row.split()[0]: row for row in rows_of(page)}
    assert "Gus, Gwen" in rows["finance"]
    assert "2 members" in rows["finance"]
    assert "one task in the queue" in rows["finance"]
    assert "Carl" in rows["cfo"]


async def test_somebody_is_logged_out_everywhere_after_asking(desk: ApiDesk) -> None:
    bob, adam = await browser_of(desk, "bob"), await browser_of(desk, "adam")
    path = "/operations/people/bob/sessions"
    assert "Log Bob out everywhere?" in (await adam.get(path)).text
    assert (await bob.get("/")).status_code == 200
    assert (await send(adam, path)).headers["location"] == "/operations/people/bob?done=logged_out"
    assert (await bob.get("/")).status_code == 303
    assert (await send(adam, path)).headers["location"].endswith("done=logged_out_none")


async def test_a_token_is_revoked_after_asking(desk: ApiDesk, database: Database) -> None:
    text = await database.write(lambda connection: tokens.issue(connection, "bob", ttl=None, now=NOW, name="ERP"))
    token = tokens.id_of(tokens.digest(text))
    browser = await browser_of(desk, "adam")
    assert f"/operations/tokens/{token}" in (await browser.get("/operations/tokens?person=bob")).text
    assert (await browser.get("/operations/tokens?state=expired")).text.count('class="row"') == 0
    assert "This cannot be undone" in (await browser.get(f"/operations/tokens/{token}")).text
    headers = {"Authorization": f"Bearer {text}"}
    assert (await desk.http.get("/api/v1/auth/me/", headers=headers)).status_code == 200
    done = await send(browser, f"/operations/tokens/{token}")
    assert done.headers["location"] == "/operations/tokens?done=token_revoked"
    assert (await desk.http.get("/api/v1/auth/me/", headers=headers)).status_code == 401
    assert "It is revoked already." in (await browser.get(f"/operations/tokens/{token}")).text
    assert (await browser.get("/operations/tokens/0123456789abcdef")).status_code == 404


async def test_everybody_finds_and_revokes_their_own_tokens_and_no_others(desk: ApiDesk, database: Database) -> None:
    ids = {}
    for owner in ("bob", "carl"):
        text = await database.write(lambda connection, of=owner: tokens.issue(connection, of, ttl=None, now=NOW))
        ids[owner] = tokens.id_of(tokens.digest(text))
    bob = await browser_of(desk, "bob")
    page = (await bob.get("/me")).text
    assert f"/me/tokens/{ids['bob']}" in page
    assert ids["carl"] not in page
    assert "This cannot be undone" in (await bob.get(f"/me/tokens/{ids['bob']}")).text
    assert (await bob.get(f"/me/tokens/{ids['carl']}")).status_code == 404
    assert (await send(bob, f"/me/tokens/{ids['carl']}")).status_code == 404
    assert (await send(bob, f"/me/tokens/{ids['bob']}")).headers["location"] == "/me?done=token_revoked"
    assert [row.person for row in await database.read(tokens.listed)].count("carl") == 1
    assert ids["bob"] not in {tokens.id_of(row.digest) for row in await database.read(tokens.listed)}
