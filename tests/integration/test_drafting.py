"""Drafts from words: written by a scripted model, proved, repaired, bounded; and nothing without a model."""

from __future__ import annotations

import asyncio
import html
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from typer.testing import CliRunner

from api.routes.examples import EXPENSE_APPROVAL
from cli.main import app
from service.drafting.instructions import RULES
from service.drafting.settings import DraftingSettings
from storage.database import Database
from storage.queries.definitions import drafts
from storage.recording.metrics import totals
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.approvals import store_people
from tests.language_model import Answer, ScriptedModel, scripted_model
from tests.pages import browser_of, send
from worker.settings import read_settings

DRAFT = "/workflow/process-templates/draft/"
WORDS = "Expenses above 5,000 EUR go to the manager, then to the CFO."
KEY = "sk-very-secret"
GOOD: dict[str, Any] = {**deepcopy(EXPENSE_APPROVAL), "name": "Expenses", "owner": "user:mallory", "version": "7.0.0"}


@pytest_asyncio.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    """Give one kind of database to what does not depend on it."""
    opened = Database(sqlite_url)
    yield opened
    await opened.close()


def text_of(blueprint: dict[str, Any]) -> str:
    return json.dumps(blueprint)


def with_gap() -> str:
    """Return a blueprint in which an amount of exactly 5000 goes nowhere."""
    broken = deepcopy(GOOD)
    for edge in broken["graph_spec"]["edges"]:
        if edge.pop("default", None):
            edge["condition"] = "amount < 5000"
    return text_of(broken)


@asynccontextmanager
async def writing_desk(database: Database, model: ScriptedModel | None, **more: Any) -> AsyncIterator[ApiDesk]:
    settings = None
    if model is not None:
        settings = DraftingSettings(model="openai-chat:scripted", url=model.url, key=KEY, **more)
    async with api_desk(database, await no_engine(), seconds=60, drafting=settings) as desk:
        yield desk


async def drafts_of(desk: ApiDesk) -> list[dict[str, Any]]:
    return list((await desk.get("/workflow/blueprint-drafts/", as_="desi")).json()["items"])


async def test_a_draft_is_written_proved_explored_and_stored(database: Database) -> None:
    with scripted_model(f"Here it is:\n```json\n{text_of(GOOD)}\n```") as model, capture_logs() as logs:
        async with writing_desk(database, model) as desk:
            answer = await desk.post(DRAFT, {"words": WORDS}, as_="desi", key="once")
            assert answer.status_code == 201, answer.text
            made = answer.json()
            again = await desk.post(DRAFT, {"words": WORDS}, as_="desi", key="once")
            assert again.json() == made
            (stored,) = await drafts_of(desk)
    assert (made["source"], made["model"], made["tries"], made["suggestion"]) == (
        "llm",
        "openai-chat:scripted",
        1,
        None,
    )
    assert stored["id"] == made["draft"]["id"]
    assert (stored["status"], stored["created_by"], stored["template_id"]) == ("open", "user:desi", None)
    content = made["draft"]["content"]
    # Who owns it, and its version, is not the model's to say.
    assert (content["owner"], content["version"], content["name"]) == ("user:desi", "1.0.0", "Expenses")
    assert made["outcomes"]["approved"] >= 1
    assert made["outcomes"]["rejected"] >= 1
    assert made["sent"] == [{"role": "system", "content": RULES}, {"role": "user", "content": WORDS}]
    # What is told is all that was sent, and the key goes to the model alone.
    (messages,) = model.told
    assert [(one["role"], one["content"]) for one in messages] == [("system", RULES), ("user", WORDS)]
    assert model.keys == [f"Bearer {KEY}"]
    assert KEY not in answer.text + str(logs)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{malformed", "JSON"),
        ("I would rather not.", "no JSON object"),
        ('{"name": "Expenses", "stages": []}', "/stages"),
        (with_gap(), "5000"),
        ("[" * 100_000 + "{}" + "]" * 100_000, ""),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "nested"),
    ],
)
async def test_the_faults_of_an_answer_go_back_and_the_second_try_counts(
    sqlite_database: Database, bad: str, told: str
) -> None:
    with scripted_model(bad, text_of(GOOD)) as model:
        async with writing_desk(sqlite_database, model) as desk:
            answer = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
    if len(bad) > 100_000:  # more than goes to a model
        assert answer.status_code == 422
        return
    assert answer.status_code == 201, answer.text
    assert answer.json()["tries"] == 2
    assert [one["role"] for one in answer.json()["sent"]] == ["system", "user", "assistant", "user"]
    repair = model.told[1]
    assert [one["role"] for one in repair] == ["system", "user", "assistant", "user"]
    assert repair[2]["content"] == bad
    assert told in repair[3]["content"]


async def test_what_never_becomes_sound_is_repaired_three_times_and_not_stored(database: Database) -> None:
    with scripted_model(with_gap()) as model:
        async with writing_desk(database, model) as desk:
            answer = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
            stored = await drafts_of(desk)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:placet:problem:drafting-failed")
    assert (len(model.asked), problem["tries"], stored) == (4, 4, [])
    assert pointers(answer)
    # The last answer was refused and went nowhere.
    assert [one["role"] for one in problem["sent"]] == ["system", "user", *["assistant", "user"] * 3]


@pytest.mark.parametrize(
    "answer",
    [Answer(status=500), Answer(status=401), Answer(status=302), Answer(silent=True)],
    ids=["fault", "wrong key", "redirect", "slow"],
)
async def test_a_model_that_is_away_is_asked_once_and_nothing_is_stored(
    sqlite_database: Database, answer: Answer
) -> None:
    with scripted_model(answer) as model, capture_logs() as logs:
        async with writing_desk(sqlite_database, model, seconds=1.5 if answer.silent else 30) as desk:
            got = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
            assert await drafts_of(desk) == []
    assert (got.status_code, len(model.asked)) == (503, 1)
    assert "did not answer" in got.json()["detail"]
    assert KEY not in got.text + str(logs)


async def test_a_refusal_is_no_draft(sqlite_database: Database) -> None:
    with scripted_model(Answer(refusal="I can't help with that.")) as model:
        async with writing_desk(sqlite_database, model) as desk:
            got = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
    assert (got.status_code, len(model.asked) <= 4) == (422, True)


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(sqlite_database: Database) -> None:
    with scripted_model("x" * 5_000_000) as model:
        async with writing_desk(sqlite_database, model) as desk:
            got = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
    assert (got.status_code, len(model.asked)) == (422, 1)
    assert "larger than 400000 bytes" in got.json()["detail"]


async def test_no_more_drafts_are_written_at_once_than_are_set(sqlite_database: Database) -> None:
    with scripted_model(Answer(silent=True)) as model:
        async with writing_desk(sqlite_database, model, seconds=20, at_once=1) as desk:
            first = asyncio.create_task(desk.post(DRAFT, {"words": WORDS}, as_="desi"))
            await asyncio.to_thread(model.was_asked.wait, 30)
            second = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
            model.over.set()
            await first
    assert (second.status_code, second.headers["Retry-After"], len(model.asked)) == (429, "30", 1)


async def test_a_change_of_a_process_is_a_suggestion_with_its_patch_and_its_backtest(database: Database) -> None:
    changed = {**deepcopy(EXPENSE_APPROVAL), "name": "Hijacked", "version": "9.9.9", "owner": "user:mallory"}
    changed["process_steps"][0]["sla_hours"] = 12
    with scripted_model(text_of(EXPENSE_APPROVAL), text_of(changed)) as model:
        async with writing_desk(database, model) as desk:
            name = await desk.publish(EXPENSE_APPROVAL)
            before = (await desk.database.read(totals)).values["workflow_suggestion_total"].get(("llm",), 0)
            answer = await desk.post(DRAFT, {"words": "The manager has 12 hours.", "template": name}, as_="desi")
            assert answer.status_code == 201, answer.text
            made = answer.json()
            listed = (await desk.get("/workflow/workflow-suggestions/?source=llm", as_="desi")).json()["items"]
            after = (await desk.database.read(totals)).values["workflow_suggestion_total"][("llm",)]
            unknown = await desk.post(DRAFT, {"words": WORDS, "template": "Nothing"}, as_="desi")
            assert await drafts_of(desk) == []
    found = made["suggestion"]
    assert (found["source"], found["status"], found["template"], made["draft"]) == ("llm", "pending", name, None)
    assert [one["id"] for one in listed] == [found["id"]]
    # The first answer changed nothing; and of the second only what the words ask for counts.
    assert (made["tries"], found["patch"]) == (
        2,
        [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 12}],
    )
    assert after == before + 1
    assert name in model.told[0][1]["content"]
    assert unknown.status_code == 422


async def test_what_would_be_sent_is_shown_without_sending(sqlite_database: Database) -> None:
    async with writing_desk(sqlite_database, None) as desk:
        answer = await desk.post(DRAFT, {"words": WORDS, "show": True}, as_="desi")
    assert answer.status_code == 200
    assert [one["content"] for one in answer.json()["sent"]] == [RULES, WORDS]
    assert (answer.json()["tries"], answer.json()["draft"]) == (0, None)


async def test_only_those_who_design_have_drafts_written(sqlite_database: Database) -> None:
    async with writing_desk(sqlite_database, None) as desk:
        for person in ("ann", "audrey", "rex"):
            assert (await desk.post(DRAFT, {"words": WORDS}, as_=person)).status_code == 403
        for words in ("", " \n", "x" * 4_001):
            answer = await desk.post(DRAFT, {"words": words, "show": True}, as_="desi")
            assert (answer.status_code, pointers(answer)) == (422, ["/words"])


async def test_without_a_model_no_socket_is_opened_and_the_answer_says_what_to_set(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing_desk(sqlite_database, None) as desk:
        browser = await browser_of(desk, "desi")
        monkeypatch.setattr(socket, "socket", _refused)
        monkeypatch.setattr(socket, "getaddrinfo", _refused)
        answer = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
        page = await send(browser, "/drafts", files={"x": b""}, how="words", words=WORDS)
    assert (answer.status_code, answer.json()["type"]) == (501, "urn:placet:problem:not-configured")
    assert "PLACET_DRAFTING_MODEL" in answer.json()["detail"]
    assert page.status_code == 501


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("a socket was opened")


@pytest.mark.parametrize("model", ["nobody:has-this", "openai-chat:"])
async def test_settings_that_no_provider_takes_are_told_and_nothing_is_sent(
    sqlite_database: Database, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = DraftingSettings(model=model)
    async with api_desk(sqlite_database, await no_engine(), seconds=60, drafting=settings) as desk:
        answer = await desk.post(DRAFT, {"words": WORDS}, as_="desi")
    assert (answer.status_code, "nothing was sent" in answer.json()["detail"]) == (501, True)


async def test_the_page_has_the_box_where_a_model_is_set_up_and_leads_on_to_the_draft(database: Database) -> None:
    with scripted_model("no", "no", "no", "no", text_of(GOOD)) as model:
        async with writing_desk(database, model) as desk:
            browser = await browser_of(desk, "desi")
            page = html.unescape((await browser.get("/drafts")).text)
            assert "Write it in words" in page
            assert "openai-chat:scripted at 127.0.0.1" in page
            assert RULES.splitlines()[0] in page
            failed = await send(browser, "/drafts", files={"x": b""}, how="words", words=WORDS, key="1")
            assert failed.status_code == 422
            assert WORDS in html.unescape(failed.text)
            assert "the answer holds no JSON object" in failed.text
            done = await send(browser, "/drafts", files={"x": b""}, how="words", words=WORDS, key="2")
            (draft,) = await drafts_of(desk)
    assert (done.status_code, done.headers["Location"]) == (303, f"/drafts/{draft['id']}?done=drafted")


async def test_where_no_model_is_set_up_only_admins_see_how_to(sqlite_database: Database) -> None:
    async with writing_desk(sqlite_database, None) as desk:
        seen = {who: (await (await browser_of(desk, who)).get("/drafts")).text for who in ("desi", "adam", "audrey")}
    assert {who: "PLACET_DRAFTING_MODEL" in page for who, page in seen.items()} == {
        "desi": False, "adam": True, "audrey": False,
    }  # fmt: skip


@pytest.fixture
def place(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    monkeypatch.setenv("PLACET_DATABASE_URL", sqlite_url)
    return tmp_path


def test_the_command_shows_what_it_sends_and_stores_a_draft(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = place / "key"
    key.write_text(f"{KEY}\n")
    with scripted_model(with_gap(), text_of(GOOD)) as model:
        shown = CliRunner().invoke(app, ["draft", WORDS, "--show"])
        assert (shown.exit_code, WORDS in shown.stdout, model.asked) == (0, True, [])
        refused = CliRunner().invoke(app, ["draft", WORDS])
        assert (refused.exit_code, "PLACET_DRAFTING_MODEL" in refused.stderr, model.asked) == (2, True, [])
        monkeypatch.setenv("PLACET_DRAFTING_MODEL", "openai-chat:scripted")
        monkeypatch.setenv("PLACET_DRAFTING_URL", model.url)
        monkeypatch.setenv("PLACET_DRAFTING_KEY_FILE", str(key))
        file = place / "blueprint.json"
        done = CliRunner().invoke(app, ["draft", WORDS, "--json", "--out", str(file)])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert (made["source"], made["tries"], made["suggestion"]) == ("llm", 2, None)
    assert json.loads(file.read_text()) == made["blueprint"]
    assert "owner" not in made["blueprint"]
    told = " ".join(done.stderr.split())
    assert WORDS in told
    assert "This answer cannot be used" in told
    assert model.keys == [f"Bearer {KEY}"] * 2
    assert KEY not in done.output
    again = CliRunner().invoke(app, ["draft", WORDS, "--out", str(file)])
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_the_command_stores_a_draft_for_who_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_model(text_of(GOOD)) as model:
        monkeypatch.setenv("PLACET_DRAFTING_MODEL", "openai-chat:scripted")
        monkeypatch.setenv("PLACET_DRAFTING_URL", model.url)
        monkeypatch.setenv("PLACET_DRAFTING_KEY", KEY)

        def drafted(person: str) -> Any:
            return CliRunner().invoke(app, ["draft", WORDS, "--as", person, "--json"])

        unknown = drafted("dora")
        assert (unknown.exit_code, "There is no person 'dora'" in unknown.stderr) == (2, True)
        asyncio.run(staffed(f"sqlite:///{place / 'placet.db'}"))
        refused = drafted("rex")
        assert (refused.exit_code, "neither a designer nor an admin" in refused.stderr, model.asked) == (2, True, [])
        done = drafted("user:dora")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["blueprint"]["owner"] == "user:dora"
    assert asyncio.run(by_whom(f"sqlite:///{place / 'placet.db'}", made["draft"]["id"])) == "dora"


async def staffed(url: str) -> None:
    database = Database(url)
    await store_people(database, ({"id": "dora", "access": ["designer"]}, {"id": "rex"}))
    await database.close()


async def by_whom(url: str, draft_id: str) -> str:
    database = Database(url)
    row = await database.read(drafts.get, draft_id)
    await database.close()
    return row.created_by


@pytest.mark.parametrize(
    ("name", "value"),
    [("MODEL", "gpt"), ("URL", "ftp://x"), ("SECONDS", "0"), ("KEY_FILE", "/nowhere")],
)
def test_wrong_settings_are_named(place: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_DRAFTING_MODEL", "openai-chat:x")
    monkeypatch.setenv(f"PLACET_DRAFTING_{name}", value)
    refused = CliRunner().invoke(app, ["draft", WORDS])
    assert (refused.exit_code, f"PLACET_DRAFTING_{name}" in refused.stderr) == (2, True)


def test_the_key_is_in_no_text_of_the_settings(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_DRAFTING_MODEL", "openai-chat:x")
    monkeypatch.setenv("PLACET_DRAFTING_KEY", KEY)
    settings = read_settings()
    assert settings.drafting is not None
    assert settings.drafting.key == KEY
    assert KEY not in f"{settings!r} {settings.drafting!r}"
