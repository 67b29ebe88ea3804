"""`placet ask`: each outcome has its exit code, and nothing of this machine is needed but the two variables."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli.commands import ask
from cli.main import app
from tests.scripted_api import TOKEN, URL, claimed, ended, refused, request, scripted
from tests.unit.test_startup import _called

DOCS = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
UNTIL = "2026-03-02T09:00:00Z"
TRANSFER = f'{{"type": "transfer", "target": "a", "parameters": {{"amount": "820.00"}}, "expires_at": "{UNTIL}"}}'
WAIT = ("--wait",)
CLAIM = ("--claim", "--action", TRANSFER)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses pass at once."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.parametrize(
    ("options", "answers", "code"),
    [
        ((), [request()], 0),
        (WAIT, [request(), ended("approved")], 0),
        (CLAIM, [request(), ended("approved"), claimed()], 0),
        (WAIT, [request(), ended("rejected")], 10),
        (WAIT, [request(), ended("expired")], 11),
        (WAIT, [request(), ended("withdrawn", "cancelled")], 12),
        (WAIT, [request(), ended("cancelled", "cancelled")], 13),
        (WAIT, [request(), request(status="failed")], 14),
        (WAIT, [request(), ended("approved in part")], 15),
        (WAIT, [request(), request(returned=True)], 16),
        ((*WAIT, "--timeout", "0"), [request()], 20),
        (CLAIM, [request(), ended("approved"), refused(409, reason="digest_mismatch")], 21),
        (CLAIM, [request(), ended("rejected")], 10),
        ((), [refused(401)], 2),
        ((), [refused(422)], 2),
        ((), [httpx.Response(200, text="hello")], 3),
    ],
)
def test_each_outcome_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], answers: list[Any], code: int
) -> None:
    placet, script = scripted(*answers)
    monkeypatch.setattr(ask, "Client", lambda: placet)
    done = CliRunner().invoke(app, ["ask", "Payments", "--input", '{"amount": 1.5}', *options])
    assert done.exit_code == code, done.output
    assert script.bodies()[0]["input"] == {"amount": 1.5}
    assert ("claim" in script.paths[-1]) == ("--claim" in options and code in {0, 21})


def test_every_exit_code_is_documented() -> None:
    assert [code for code in ask.EXIT_CODES.values() if f"| {code} |" not in DOCS] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--input", "{"), "--input is no JSON"),
        (("--input", "[]"), "an object is expected"),
        (("--input", '{"a": NaN}'), "NaN is no number"),
        (("--input", '{"a": 1, "a": 2}'), "stands twice"),
        (("--input", "@/nowhere/at/all"), "cannot be read"),
        (("--action", '{"type": "t"}'), "/target: the field is missing"),
        (("--action", '{"type": "t", "target": "a", "amount": 1}'), "'amount' is unknown"),
        (("--claim",), "needs --action"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], says: str
) -> None:
    placet, script = scripted(request())
    monkeypatch.setattr(ask, "Client", lambda: placet)
    done = CliRunner().invoke(app, ["ask", "Payments", *options])
    assert (done.exit_code, script.calls) == (2, [])
    assert says in " ".join(done.output.split())


def test_an_action_is_sent_as_it_is_given_and_the_request_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "action.json").write_text(TRANSFER)
    placet, script = scripted(request())
    monkeypatch.setattr(ask, "Client", lambda: placet)
    given = ["--action", f"@{tmp_path / 'action.json'}", "--title", "Pay", "--key", "run-7", "--json"]
    done = CliRunner().invoke(app, ["ask", "Payments", *given])
    assert json.loads(done.stdout)["status"] == "pending"
    assert (script.bodies()[0]["action"], script.keys) == (json.loads(TRANSFER), ["run-7"])


def test_it_loads_no_database_and_touches_no_folder(tmp_path: Path) -> None:
    without = {"temporalio", "fastapi", "sqlalchemy", "sqlmodel", "z3"}
    done = _called(tmp_path / "home", "ask", "Payments", without=without)
    assert (done.returncode, (tmp_path / "home").exists()) == (2, False), done.stderr
    assert "Set PLACET_URL" in done.stderr


def test_a_token_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_URL", URL)
    monkeypatch.setenv("PLACET_TOKEN", TOKEN)
    assert "--token" not in CliRunner().invoke(app, ["ask", "--help"]).output
