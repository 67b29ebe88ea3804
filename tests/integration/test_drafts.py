"""Drafts as they are saved by several people, submitted, published and moved to, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col

from api.routes.examples import EXPENSE_APPROVAL
from placet.errors import BlueprintInvalid, Conflict, DraftChanged, InputInvalid, NotFound, NotPermitted
from service.context import Context
from service.definitions import draft_definition, publish_definition, replace_draft
from service.drafts import drafts
from service.drafts.analysis import analyse, explore
from service.drafts.draft import Draft
from service.drafts.exchange import Source, export, import_
from service.principal import Principal
from storage.database import Database
from storage.queries.definitions import drafts as stored
from storage.tables.drafts import BlueprintDraft
from tests.api_desk import api_desk, context_of, no_engine
from tests.stored import writing

NAME = EXPENSE_APPROVAL["name"]
DESI, DORA = (Principal(person=who, access=frozenset({"designer"})) for who in ("desi", "dora"))
ANN = Principal(person="ann", access=frozenset({"requester", "approver"}))


@pytest_asyncio.fixture
async def context(database: Database) -> AsyncIterator[Context]:
    async with api_desk(database, await no_engine(), seconds=1) as desk:
        yield context_of(desk)


def changed(content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**deepcopy(content), **fields}


async def published(context: Context, blueprint: dict[str, Any] = EXPENSE_APPROVAL) -> None:
    row = await draft_definition(context, DESI, blueprint)
    await publish_definition(context, DESI, row.id)


async def based_on_published(context: Context) -> Draft:
    await published(context)
    return await drafts.create(context, DESI, based_on=(NAME, None))


async def found(context: Context, draft: Draft, principal: Principal = DESI) -> Draft:
    return await context.database.read(drafts.find, principal, draft.id)


async def test_a_draft_of_a_version_is_changed_and_published_as_the_next_one(context: Context) -> None:
    draft = await based_on_published(context)
    assert (draft.process, draft.based_on, draft.revision, draft.status) == (NAME, "1.0.0", 1, "open")
    before = await analyse(context, DESI, draft)
    assert (before.ok, before.before, before.fields) == (True, "1.0.0", ())
    assert [problem.pointer for problem in before.obstacles] == ["/version"], "that number is taken"

    content = changed(draft.content, owner="user:dora")
    saved = await drafts.save(context, DORA, draft.id, revision=1, content=content)
    assert (saved.draft.revision, saved.draft.authors, saved.merged) == (2, ("desi", "dora"), ())
    found_now = await analyse(context, DESI, saved.draft)
    assert [(f.pointer, f.kind) for f in found_now.fields] == [("/owner", "changed")]
    assert found_now.least_version == "1.1.0"
    assert "write 1.1.0 or higher" in found_now.obstacles[0].message
    with pytest.raises(Conflict, match="give this one a higher version"):
        await drafts.publish(context, DESI, draft.id)
    low = [{"op": "replace", "path": "/version", "value": "1.0.1"}]
    await drafts.save(context, DESI, draft.id, revision=2, patch=low)
    with pytest.raises(BlueprintInvalid, match=r"write 1\.1\.0 or higher"):
        await drafts.publish(context, DESI, draft.id)

    patch = [{"op": "replace", "path": "/version", "value": "1.1.0"}]
    saved = await drafts.save(context, DESI, draft.id, revision=3, patch=patch)
    assert (await analyse(context, DESI, saved.draft)).publishable
    ended, version = await drafts.publish(context, DESI, draft.id, revision=4)
    assert (ended.status, ended.template_id) == ("published", version.id)
    assert (version.version, version.status, version.blueprint["owner"]) == ("1.1.0", "published", "user:dora")
    assert version.certificate is not None
    assert (await context.database.read(drafts.version_of, ended)).id == version.id
    again, same_version = await drafts.publish(context, DESI, draft.id)
    assert (again.status, same_version.id) == ("published", version.id)
    with pytest.raises(Conflict, match="make a new draft of that version"):
        await drafts.save(context, DESI, draft.id, revision=4, content=EXPENSE_APPROVAL)
    first = await context.database.read(drafts.acts, DESI, draft.id, limit=4)
    rest = await context.database.read(drafts.acts, DESI, draft.id, limit=4, cursor=first.next_cursor)
    assert rest.next_cursor is None
    assert [(act.act, act.by) for act in (*first.items, *rest.items)] == [
        ("created", "desi"),
        ("saved", "dora"),
        ("saved", "desi"),
        ("saved", "desi"),
        ("submitted", "desi"),
        ("published", "desi"),
    ]


async def test_two_who_save_different_places_both_find_their_change_and_the_later_is_told(context: Context) -> None:
    draft = await based_on_published(context)
    await drafts.save(context, DESI, draft.id, revision=1, content=changed(draft.content, owner="user:dora"))
    second = await drafts.save(context, DORA, draft.id, revision=1, content=changed(draft.content, version="1.1.0"))
    assert [change.pointer for change in second.merged] == ["/owner"]
    assert (second.merged_by, second.draft.revision) == ("desi", 3)
    both = (await found(context, draft)).content
    assert (both["owner"], both["version"]) == ("user:dora", "1.1.0")


async def test_two_who_save_the_same_place_at_once_are_one_saved_and_one_told(context: Context) -> None:
    draft = await based_on_published(context)

    async def save(principal: Principal, version: str) -> Any:
        content = changed(draft.content, version=version)
        return await drafts.save(context, principal, draft.id, revision=1, content=content)

    results = await asyncio.gather(save(DESI, "1.1.0"), save(DORA, "2.0.0"), return_exceptions=True)
    (told,) = [one for one in results if isinstance(one, DraftChanged)]
    (saved,) = [one for one in results if not isinstance(one, BaseException)]
    there = await found(context, draft)
    assert saved.draft == there
    assert (told.revision, told.content, told.by) == (2, there.content, there.updated_by)
    assert [change["pointer"] for change in told.difference] == ["/version"]
    mine = {"1.1.0": "2.0.0", "2.0.0": "1.1.0"}[there.content["version"]]
    (conflict,) = told.conflicts
    assert conflict == {
        "pointer": "/version",
        "base": "1.0.0",
        "theirs": there.content["version"],
        "mine": mine,
    }
    assert told.merged["mine"] == changed(draft.content, version=mine)
    # What was sent is saved on top of what was told.
    final = await drafts.save(context, DESI, draft.id, revision=told.revision, content=told.merged["mine"])
    assert (final.draft.revision, final.draft.content["version"]) == (3, mine)


async def test_many_who_save_at_once_lose_nothing(context: Context) -> None:
    draft = await drafts.create(context, DESI, content={"name": "Many"})
    people = [Principal(person=f"p{number}", access=frozenset({"designer"})) for number in range(6)]

    async def save(number: int) -> None:
        content = {"name": "Many", f"x{number}": number}
        await drafts.save(context, people[number], draft.id, revision=1, content=content)

    await asyncio.gather(*(save(number) for number in range(6)))
    there = await found(context, draft)
    assert (there.revision, len(there.authors)) == (7, 7)
    assert there.content == {"name": "Many", **{f"x{number}": number for number in range(6)}}


async def test_a_save_that_changes_nothing_is_no_revision(context: Context) -> None:
    draft = await based_on_published(context)
    saved = await drafts.save(context, DORA, draft.id, revision=1, content=deepcopy(draft.content))
    assert (saved.draft.revision, saved.draft.updated_by) == (1, "desi")


async def test_a_revision_whose_content_is_dropped_is_told_whole(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "KEPT", 2)
    draft = await drafts.create(context, DESI, content={"name": "A"})
    for number in range(1, 4):
        await drafts.save(context, DESI, draft.id, revision=number, content={"name": "A", "n": number})
    with pytest.raises(DraftChanged) as told:
        await drafts.save(context, DORA, draft.id, revision=1, content={"name": "B"})
    assert (told.value.content, told.value.merged["mine"]) == ({"name": "A", "n": 3}, {"name": "B"})
    assert [conflict["pointer"] for conflict in told.value.conflicts] == [""]


async def test_what_is_no_blueprint_is_kept_and_found(context: Context) -> None:
    content = {"name": "Odd", "version": 7, "colour": "red", "process_steps": "none"}
    draft = await drafts.create(context, DESI, content=content)
    assert (await found(context, draft)).content == content
    analysis = await analyse(context, DESI, draft)
    assert {"/colour", "/version", "/process_steps"} <= {finding.pointer for finding in analysis.findings}
    assert (analysis.ok, analysis.publishable, analysis.before) == (False, False, None)
    with pytest.raises(BlueprintInvalid):
        await drafts.submit(context, DESI, draft.id)
    explored = await explore(context, DESI, draft)
    assert explored.row.result is not None
    assert explored.row.result["validation_errors"]


async def test_an_analysis_that_nobody_waits_for_any_more_gives_its_process_back(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    work = asyncio.create_task(analyse(context, DESI, draft))
    while not context.pool._busy:  # looked at in each turn of the loop: a quick proof is soon over
        assert not work.done()
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not context.pool._busy
    assert (await analyse(context, DESI, draft)).ok


@pytest.mark.parametrize("content", [[], "text", 7, {"a": "\0"}, {"a": ["y"] * 100_001}, {"a": "y" * 2_000_001}])
async def test_what_cannot_be_stored_is_refused(context: Context, content: Any) -> None:
    with pytest.raises(InputInvalid):
        await drafts.create(context, DESI, content=content)
    draft = await drafts.create(context, DESI, content={"name": "A"})
    with pytest.raises(InputInvalid):
        await drafts.save(context, DESI, draft.id, revision=1, content=content)


@pytest_asyncio.fixture
async def strict(database: Database) -> AsyncIterator[Context]:
    """Return a context in which somebody else has to publish."""
    async with api_desk(database, await no_engine(), seconds=1, publish_needs_two=True) as desk:
        yield context_of(desk)


async def test_where_two_are_needed_who_wrote_any_of_it_does_not_publish(strict: Context) -> None:
    context = strict
    draft = await based_on_published_by_two(context)
    await drafts.save(
        context, DORA, draft.id, revision=1, content=changed(draft.content, owner="user:dora", version="1.1.0")
    )
    with pytest.raises(Conflict, match="submit it first"):
        await drafts.publish(context, DESI, draft.id)
    submitted = await drafts.submit(context, DESI, draft.id, revision=2)
    assert (submitted.status, submitted.submitted_by) == ("submitted", "desi")
    with pytest.raises(Conflict, match="reopen it first"):
        await drafts.save(context, DORA, draft.id, revision=2, content={})
    for principal in (DESI, DORA):
        with pytest.raises(NotPermitted, match="somebody else"):
            await drafts.publish(context, principal, draft.id)
    adam = Principal(person="adam", access=frozenset({"admin"}))
    ended, version = await drafts.publish(context, adam, draft.id, revision=2)
    assert (ended.status, version.status, version.published_by) == ("published", "published", "adam")


async def based_on_published_by_two(context: Context) -> Draft:
    row = await draft_definition(context, DESI, EXPENSE_APPROVAL)
    await publish_definition(context, DORA, row.id)
    return await drafts.create(context, DESI, based_on=(NAME, "1.0.0"))


async def test_a_reopened_draft_is_submitted_anew_as_the_same_version(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    submitted = await drafts.submit(context, DESI, draft.id)
    opened = await drafts.reopen(context, DORA, draft.id)
    assert (opened.status, opened.submitted_by) == ("open", None)
    await drafts.save(context, DESI, draft.id, revision=1, content=changed(EXPENSE_APPROVAL, owner="user:dora"))
    again = await drafts.submit(context, DESI, draft.id)
    assert again.template_id == submitted.template_id
    _, version = await drafts.publish(context, DESI, draft.id)
    assert version.blueprint["owner"] == "user:dora"


async def test_what_somebody_else_wrote_into_the_version_meanwhile_is_not_published(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    submitted = await drafts.submit(context, DESI, draft.id)
    assert submitted.template_id is not None
    await replace_draft(context, DORA, submitted.template_id, changed(EXPENSE_APPROVAL, owner="user:dora"))
    with pytest.raises(Conflict, match="holds something else by now"):
        await drafts.publish(context, DESI, draft.id)
    await drafts.reopen(context, DESI, draft.id)
    with pytest.raises(Conflict, match="somebody else has changed the draft"):
        await drafts.submit(context, DESI, draft.id)


async def test_a_draft_of_a_version_that_is_not_published_goes_on_as_that_version(context: Context) -> None:
    row = await draft_definition(context, DESI, EXPENSE_APPROVAL)
    draft = await drafts.create(context, DESI, based_on=(NAME, "1.0.0"))
    assert (await analyse(context, DESI, draft)).publishable
    _, version = await drafts.publish(context, DESI, draft.id)
    assert version.id == row.id


async def test_an_approver_does_not_publish_another_revision_than_they_saw(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    await drafts.save(context, DORA, draft.id, revision=1, content=changed(EXPENSE_APPROVAL, owner="user:dora"))
    for act in (drafts.submit, drafts.publish):
        with pytest.raises(DraftChanged) as told:
            await act(context, DESI, draft.id, revision=1)
        assert [change["pointer"] for change in told.value.difference] == ["/owner"]
    with pytest.raises(InputInvalid, match="the draft is in revision 2"):
        await drafts.submit(context, DESI, draft.id, revision=3)


async def test_a_discarded_draft_is_read_and_no_longer_changed(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    assert (await drafts.discard(context, DORA, draft.id)).status == "discarded"
    assert (await drafts.discard(context, DORA, draft.id)).status == "discarded"
    assert (await found(context, draft)).content == EXPENSE_APPROVAL
    for act in (drafts.submit, drafts.publish, drafts.reopen):
        with pytest.raises(Conflict, match="discarded"):
            await act(context, DESI, draft.id)
    assert not (await analyse(context, DESI, await found(context, draft))).publishable


async def test_drafts_are_there_for_those_who_design(context: Context) -> None:
    draft = await drafts.create(context, DESI, content=EXPENSE_APPROVAL)
    with pytest.raises(NotFound):
        await found(context, draft, ANN)
    assert (await context.database.read(drafts.list_, ANN, limit=10)).items == ()
    for act in (drafts.submit, drafts.publish, drafts.reopen, drafts.discard):
        with pytest.raises(NotFound):
            await act(context, ANN, draft.id)
    with pytest.raises(NotFound):
        await drafts.save(context, ANN, draft.id, revision=1, content={})
    with pytest.raises(InputInvalid, match="/based_on/process"):
        await drafts.create(context, DESI, based_on=("Nothing", None))


async def test_drafts_are_listed_by_their_last_change_in_pages(context: Context) -> None:
    made = [await drafts.create(context, DESI, content={"name": f"P{number % 2}"}) for number in range(5)]
    await drafts.save(context, DESI, made[0].id, revision=1, content={"name": "P0", "a": 1})
    await drafts.discard(context, DESI, made[3].id)
    seen, cursor = [], None
    while True:
        page = await context.database.read(drafts.list_, DESI, limit=2, cursor=cursor)
        seen += [draft.id for draft in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [made[number].id for number in (3, 0, 4, 2, 1)]
    page = await context.database.read(drafts.list_, DESI, limit=9, process="P1", status={"open"})
    assert [draft.id for draft in page.items] == [made[1].id]


async def test_a_draft_of_a_newer_placet_is_refused(context: Context) -> None:
    draft = await drafts.create(context, DESI, content={"name": "A"})
    with writing(context.database) as session:
        session.connection().execute(
            update(BlueprintDraft).where(col(BlueprintDraft.id) == draft.id).values(stored_format=2)
        )
    with pytest.raises(Conflict, match="newer Placet"):
        await found(context, draft)


async def test_files_become_drafts_and_drafts_become_files(context: Context) -> None:
    made = await import_(context, DESI, Source(blueprint=EXPENSE_APPROVAL))
    assert json.loads(export(made.draft)) == EXPENSE_APPROVAL
    other = changed(EXPENSE_APPROVAL, owner="user:dora")
    into = await import_(context, DESI, Source(blueprint=other), into=(made.draft.id, 1))
    assert (into.draft.id, into.draft.revision, into.draft.content) == (made.draft.id, 2, other)
    with pytest.raises(InputInvalid):
        await import_(context, DESI, Source())
