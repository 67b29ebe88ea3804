"""The pages of suggestions: the list and its filters, one with its evidence, and what accepting and rejecting do."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest_asyncio
from sqlalchemy import insert, update
from sqlmodel import col
from temporalio.client import Client

from placet.sentences import described, sentence
from storage.database import Database
from storage.queries import suggestions
from storage.tables.suggestions import WorkflowSuggestion
from tests.api_desk import ApiDesk, working_desk
from tests.integration.test_api_suggestions import FASTER, SUGGESTIONS, TEMPLATES, approved, suggested
from tests.integration.test_suggestions_generated import past
from tests.pages import browser_of, send
from tests.stored import writing
from web.suggestions.listing import MOST_LISTED

PAGE = "/suggestions"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client) as opened:
        yield opened


def store(desk: ApiDesk, template: str, count: int = 1, **more: Any) -> list[str]:
    """Store suggestions as a miner makes them; return their ids, the newest first."""
    facts: dict[str, Any] = {
        "template": template,
        "version": "1.0.0",
        "suggestion_type": "performance",
        "source": "rule",
        "subject": ["performance"],
        "title": "The stage is slow",
        "description": "It takes long.",
        "patch": FASTER,
        "blueprint": {},
        "confidence": 0.9567,
        "supporting_data": {"count": 120, "period": {"from": None, "to": None}, "examples": []},
        "findings": [],
    }
    now = datetime.now(UTC)
    ids = [f"{template}-{number}" for number in range(count)]
    with writing(desk.database) as session:
        for number, ident in enumerate(ids):
            at = now - timedelta(minutes=number)
            row = WorkflowSuggestion(id=ident, subject_id=ident, created_at=at, updated_at=at, **facts | more)
            suggestions.insert(session.connection(), row)
    return ids


async def shown(desk: ApiDesk, address: str, person: str = "desi", *, status: int = 200, **headers: str) -> str:
    browser = await browser_of(desk, person)
    answer = await browser.get(address, headers=headers)
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


async def test_the_list_begins_with_what_is_to_be_decided_and_is_filtered_by_its_address(desk: ApiDesk) -> None:
    name = await desk.publish()
    mined = store(desk, name, 2)
    made = await suggested(desk, name, suggestion_type="tidy_up")
    await desk.post(f"{SUGGESTIONS}{mined[1]}/reject/", as_="desi")

    async def listed(query: str) -> list[str]:
        page = await shown(desk, f"{PAGE}?process={name}{query}", "audrey")
        return [one.partition('"')[0] for one in page.split('data-row-id="')[1:]]

    assert await listed("") == [made["id"], mined[0]]
    assert await listed("&status=all") == [made["id"], *mined]
    assert await listed("&status=rejected") == mined[1:]
    assert await listed("&type=tidy_up") == await listed("&source=person") == [made["id"]]
    assert await listed("&type=nothing") == []
    # What cannot be chosen is as usual, and a cursor of another list begins anew.
    assert await listed("&status=x&source=y&cursor=z") == [made["id"], mined[0]]
    page = await shown(desk, f"{PAGE}?process={name}&source=rule")
    assert "at least 95.6 %" in page  # a lower bound is rounded down
    assert "Mined from past requests" in page


async def test_a_page_of_the_list_leads_to_the_next_with_the_same_filter(desk: ApiDesk) -> None:
    name = await desk.publish()
    store(desk, name, 30)
    page = await shown(desk, f"{PAGE}?process={name}&type=performance")
    address = html.unescape(page.partition('rel="next" href="')[2].partition('"')[0])
    assert f"process={quote_plus(name)}&type=performance&cursor=" in address
    assert page.count("data-row-id") + (await shown(desk, address)).count("data-row-id") == 30


async def test_a_list_of_ten_thousand_has_one_page_at_a_time(desk: ApiDesk) -> None:
    name = await desk.publish()
    (first,) = store(desk, name)
    with writing(desk.database) as session:
        row = session.get_one(WorkflowSuggestion, first).model_dump()
        many = [
            row | {"id": f"{name}-many-{n}", "subject_id": str(n), "created_at": row["created_at"] - timedelta(hours=n)}
            for n in range(1, 10_000)
        ]
        session.execute(insert(WorkflowSuggestion), many)
    seen = 0
    for address in (PAGE, f"{PAGE}?process={quote(name)}", f"{PAGE}?status=all&type=performance&source=rule"):
        page = await shown(desk, address)
        seen += page.count("data-row-id")
        assert 'rel="next"' in page
    assert seen == 3 * 25


async def test_of_very_many_processes_none_is_listed_and_its_name_is_typed(desk: ApiDesk) -> None:
    store(desk, "Process 0")
    few = await shown(desk, PAGE)
    assert '<select name="process">' in few
    for number in range(1, MOST_LISTED + 1):
        store(desk, f"Process {number}")
    many = await shown(desk, f"{PAGE}?process=Process+7")
    assert '<select name="process">' not in many
    assert 'name="process" value="Process 7"' in many
    assert many.count("data-row-id") == 1


async def test_an_empty_list_says_how_suggestions_come_about(desk: ApiDesk) -> None:
    name = await desk.publish()
    page = await shown(desk, f"{PAGE}?process={name}")
    assert "Nothing matches" in page
    assert "Every night Placet looks at the past requests" in page
    assert "Look for suggestions now" in page
    assert "Look for suggestions now" not in await shown(desk, PAGE, "audrey")


async def test_suggestions_are_looked_for_by_a_button_which_says_what_came_of_it(desk: ApiDesk) -> None:
    name = await past(desk)
    desi = await browser_of(desk, "desi")
    answer = await send(desi, PAGE, process=name, days="30", least="10")
    assert answer.status_code == 200, answer.text
    page = html.unescape(answer.text)
    assert "new suggestion" in page
    assert "Approve what comes to stage" in page
    again = html.unescape((await send(desi, PAGE, process=name, days="30", least="10")).text)
    assert "Nothing new was found" in again
    wrong = await send(desi, PAGE, process=name, days="many", least="10")
    assert wrong.status_code == 422
    assert "Give a whole number." in wrong.text
    unknown = await send(desi, PAGE, process=f"{name}x", days="30", least="10")
    assert unknown.status_code == 422
    assert "did you mean" in unknown.text


async def test_a_suggestion_shows_evidence_change_backtest_and_only_those_requests_that_its_reader_may_see(
    desk: ApiDesk,
) -> None:
    name = await desk.publish()
    examples = await approved(desk, name, 2)
    made = await suggested(desk, name)
    begin, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    evidence = {
        "count": 1234,
        "period": {"from": begin.isoformat(), "to": end.isoformat()},
        "examples": [*examples, "gone"],
        "late": 7,
        "median_hours": 3.456,
    }
    with writing(desk.database) as session:
        where = col(WorkflowSuggestion.id) == made["id"]
        session.execute(update(WorkflowSuggestion).where(where).values(supporting_data=evidence))
    page = await shown(desk, f"{PAGE}/{made['id']}", "audrey")
    assert "sla_hours" in page
    assert "1,234" in page
    assert "3.46" in page
    assert "2 Mar 2026" in page
    assert all(f'href="/requests/{one}"' in page for one in examples)
    assert "One request that shows it is not for you to see." in page
    assert "A designer or an admin decides about it." in page
    hidden = await shown(desk, f"{PAGE}/{made['id']}")
    assert not any(one in hidden for one in examples)
    assert "3 requests that show it are not for you to see." in hidden
    assert "no past request could be compared" in hidden.lower()


async def test_the_backtest_is_told_before_and_after(desk: ApiDesk) -> None:
    name = await desk.publish()
    await approved(desk, name, 3)
    body = {"template": name, "title": "Faster", "patch": FASTER}
    made = (await desk.post(SUGGESTIONS, body, as_="adam")).json()
    page = await shown(desk, f"{PAGE}/{made['id']}", "adam")
    assert "3 past requests were compared." in page
    assert "It would have ended differently for 0 of 3." in page
    assert "Requests that were overdue" in page
    assert "of 3 past requests that were compared" in page


async def test_accepting_asks_first_and_leads_to_one_draft_however_often_it_is_sent(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    address = f"{PAGE}/{made['id']}"
    assert "Accept this suggestion?" in await shown(desk, f"{address}/accept")
    assert (await desk.get(f"{SUGGESTIONS}{made['id']}/", as_="desi")).json()["status"] == "pending"
    desi = await browser_of(desk, "desi")
    answers = [await send(desi, f"{address}/accept", notes="Long overdue.\r\nGood.") for _ in "12"]
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"].partition("?")[0] for answer in answers}) == 1
    draft = answers[0].headers["location"]
    assert draft.startswith("/drafts/")
    assert "1.1.0" in (await desi.get(draft)).text
    page = await shown(desk, address, "audrey")
    assert "Long overdue.\nGood." in page
    assert "Desi" in page
    assert f'href="{draft.partition("?")[0]}"' in page
    drafts = (await desk.get(f"{TEMPLATES}?name={name}&status=draft", as_="desi")).json()["items"]
    assert [one["version"] for one in drafts] == ["1.1.0"]
    canary = f"/canaries?version={drafts[0]['id']}"
    assert f'href="{canary}"' not in page, "an auditor begins none"
    assert f'href="{canary}"' in await shown(desk, address)
    assert f'<option value="{drafts[0]["id"]}" selected>' in (await desi.get(canary)).text
    # What was accepted goes on in the editor, and is published like any draft.
    published = await send(desi, f"{draft.partition('?')[0]}/publish", op="publish", revision="1")
    assert published.status_code == 303, published.text
    assert "Version 1.1.0, published" in await shown(desk, address)
    assert f'href="{canary}"' in await shown(desk, address), "a published version can be given a share as well"


async def test_what_was_accepted_over_the_api_opens_in_the_editor_as_well(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    await desk.post(f"{SUGGESTIONS}{made['id']}/accept/", as_="desi")
    address = f"{PAGE}/{made['id']}"
    assert f'action="{address}/draft"' in await shown(desk, address)
    assert "Version 1.1.0 is a draft." in await shown(desk, address, "audrey")
    desi = await browser_of(desk, "desi")
    opened = [await send(desi, f"{address}/draft") for _ in "12"]
    assert [one.status_code for one in opened] == [303, 303]
    assert f'href="{opened[0].headers["location"]}"' in await shown(desk, address)


async def test_who_comes_late_is_shown_what_was_decided(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    address = f"{PAGE}/{made['id']}"
    desi, adam = await browser_of(desk, "desi"), await browser_of(desk, "adam")
    assert (await send(desi, f"{address}/reject", notes="Too short.")).status_code == 303
    assert (await send(desi, f"{address}/reject", notes="Too short.")).status_code == 303
    for act in ("accept", "reject"):
        answer = await send(adam, f"{address}/{act}", notes="Changed.")
        assert answer.status_code == 409
        page = html.unescape(answer.text)
        assert "It was decided meanwhile" in page
        assert "Too short." in page
        assert "It comes back only with other evidence." in page
        asked = await shown(desk, f"{address}/{act}", "adam")
        assert "?</h1>" not in asked
    assert (await send(adam, f"{address}/draft")).status_code == 409


async def test_a_suggestion_whose_places_have_changed_says_what_to_do(desk: ApiDesk) -> None:
    name = await desk.publish()
    one, other = await suggested(desk, name), await suggested(desk, name, [{**FASTER[0], "value": 6}])
    draft = (await desk.post(f"{SUGGESTIONS}{one['id']}/accept/", as_="desi")).json()["draft"]
    assert (await desk.post(f"{TEMPLATES}{draft['id']}/publish/", as_="desi")).status_code == 200
    address = f"{PAGE}/{other['id']}"
    assert "Version 1.1.0 was published since" in await shown(desk, address)
    answer = await send(await browser_of(desk, "desi"), f"{address}/accept")
    assert answer.status_code == 409
    page = html.unescape(answer.text)
    assert "/process_steps/0/sla_hours" in page
    assert "Reject the suggestion and look for new ones" in page
    assert f'href="{address}/reject"' in page


async def test_what_leads_to_no_process_cannot_be_accepted_and_says_why(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name, [{"op": "remove", "path": "/process_steps"}])
    address = f"{PAGE}/{made['id']}"
    page = await shown(desk, address)
    assert "the change cannot be told in words" in page
    assert "A draft with faults cannot be published" in page
    assert "The proofs found faults in it." in await shown(desk, f"{address}/accept")
    answer = await send(await browser_of(desk, "desi"), f"{address}/accept")
    assert answer.status_code == 422
    assert "No draft could be made of it" in answer.text


async def test_too_long_notes_are_refused(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    answer = await send(await browser_of(desk, "desi"), f"{PAGE}/{made['id']}/reject", notes="x" * 4001)
    assert answer.status_code == 422
    assert "at most 4,000 characters" in answer.text


async def test_only_designers_and_admins_decide_and_others_do_not_see_suggestions(desk: ApiDesk) -> None:
    name = await desk.publish()
    made = await suggested(desk, name)
    address = f"{PAGE}/{made['id']}"
    for person in ("ann", "bob"):
        for path in (PAGE, address):
            await shown(desk, path, person, status=403)
    audrey = await browser_of(desk, "audrey")
    for path in (PAGE, f"{address}/accept", f"{address}/reject", f"{address}/draft"):
        assert (await send(audrey, path)).status_code == 403
    await shown(desk, f"{PAGE}/nothing", status=404)


async def test_the_page_of_a_process_leads_to_its_suggestions(desk: ApiDesk) -> None:
    name = await desk.publish()
    version = next(
        one["id"]
        for one in (await desk.get(f"{TEMPLATES}?name={name}", as_="desi")).json()["items"]
        if one["name"] == name
    )
    link = f'href="/suggestions?process={quote(name)}"'
    assert link in await shown(desk, f"/processes/{version}")
    await suggested(desk, name)
    assert "One suggestion for this process to be decided" in await shown(desk, f"/processes/{version}")
    assert link not in await shown(desk, f"/processes/{version}", "ann")


async def test_words_are_the_readers_and_people_are_called_by_name(desk: ApiDesk) -> None:
    name = await desk.publish()
    title = sentence("Tasks of stage {stage!r} pile up with {person}", stage="Manager", person="bob")
    words = {"title": described(title), "description": None}
    (ident,) = store(desk, name, title=str(title), words=words, suggestion_type="workload")
    english = await shown(desk, f"{PAGE}/{ident}")
    assert "Tasks of stage 'Manager' pile up with Bob" in english
    german = await shown(desk, f"{PAGE}?process={name}", **{"accept-language": "de"})
    assert "Zu viel bei einer Person oder Warteschlange" in german
    assert "mindestens 95,6" in german
