"""The client: it repeats with the same key, waits in bounded polls, and tells every outcome and refusal apart."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from placet import client as client_module
from placet.client import (
    Action,
    ActionExpired,
    AlreadyClaimed,
    AsyncClient,
    Busy,
    Cancelled,
    ChangesRequested,
    ClaimRefused,
    Client,
    ClientError,
    Conflict,
    DigestMismatch,
    EndedOtherwise,
    Expired,
    Failed,
    Invalid,
    Misconfigured,
    NotApproved,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Problem,
    Rejected,
    Retries,
    StillPending,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    Withdrawn,
    wire,
)
from tests.scripted_api import TOKEN, URL, claimed, ended, refused, request, scripted, scripted_async

TRANSFER = Action(
    type="transfer", target="account:1", parameters={"amount": "820.00"}, expires_at=datetime(2026, 3, 2, 9, tzinfo=UTC)
)
NOBODY = httpx.ConnectError("nobody listens")
# What a process needs that imports the client alone: neither pydantic nor anything else of Placet.
ALONE = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        room = name.partition(".")[0]
        if room in {"pydantic", "temporalio", "sqlalchemy", "fastapi", "structlog", "typer", "rich", "rfc8785", "z3"}:
            raise ImportError(f"{name} is not there")
        if room == "placet" and name != "placet" and not name.startswith("placet.client"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Forbidden())
from placet.client import AsyncClient, Client, requires_approval
"""


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let pauses pass at once, and return how long each was."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(asyncio, "sleep", pause)
    return pauses


def test_it_is_imported_with_httpx_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, object]:
        public = [(name, found) for name, found in vars(kind).items() if not name.startswith("_")]
        return {name: list(inspect.signature(found).parameters.values()) for name, found in public}

    assert calls(Client) == calls(AsyncClient)
    assert len(calls(Client)) > 15


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    drawn = sys.modules["placet.client.errors"].__doc__ or ""
    names = [name for name in client_module.__all__ if isinstance(getattr(client_module, name), type)]
    errors = [name for name in names if issubclass(getattr(client_module, name), ClientError)]
    assert len(errors) > 25
    assert [name for name in errors if name not in drawn] == []


def test_a_call_that_gets_no_answer_is_repeated_with_the_same_key(slept: list[float]) -> None:
    placet, script = scripted(NOBODY, httpx.ReadTimeout("silence"), refused(503, retry_after="7"), request())
    placet.start("Payments")
    assert len(script.calls) == 4
    assert len(set(script.keys)) == 1
    assert script.keys[0]
    assert slept[2] == 7, "the server says when to come again"
    assert slept[0] < slept[1] * 2 + 0.01


async def test_the_asynchronous_client_repeats_in_the_same_way(slept: list[float]) -> None:
    placet, script = scripted_async(NOBODY, refused(429, retry_after="3"), request())
    await placet.start("Payments", key="mine")
    assert script.keys == ["mine"] * 3
    assert slept[1] == 3


def test_a_call_gives_up_in_the_end_and_tells_its_key(slept: list[float]) -> None:
    placet, script = scripted(NOBODY, retries=Retries(seconds=0))
    with pytest.raises(Unreachable) as caught:
        placet.start("Payments", key="mine")
    assert (caught.value.key, len(script.calls), slept) == ("mine", 1, [])


def test_two_calls_have_two_keys() -> None:
    placet, script = scripted(request())
    placet.start("Payments")
    placet.start("Payments")
    assert len(set(script.keys)) == 2


def test_what_only_reads_has_no_key() -> None:
    placet, script = scripted(request())
    placet.request("r")
    assert script.keys == [None]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Problem),
        (401, NotAuthenticated),
        (403, NotPermitted),
        (404, NotFound),
        (409, Conflict),
        (422, Invalid),
        (429, Busy),
        (500, Problem),
        (503, Unavailable),
    ],
)
def test_refusals_are_told_apart_by_their_status(status: int, error: type[Problem]) -> None:
    placet, script = scripted(
        refused(status, detail="It is so.", errors=[{"pointer": "/input", "message": "is wrong"}]),
        retries=Retries(seconds=0),
    )
    with pytest.raises(error) as caught:
        placet.start("Payments")
    assert (type(caught.value), caught.value.status, caught.value.message) == (error, status, "It is so.")
    assert [(one.pointer, one.message) for one in caught.value.problems] == [("/input", "is wrong")]
    assert len(script.calls) == 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("not_approved", NotApproved),
        ("digest_mismatch", DigestMismatch),
        ("expired", ActionExpired),
        ("already_claimed", AlreadyClaimed),
        ("of_a_later_version", ClaimRefused),
    ],
)
def test_a_refused_claim_says_what_failed(reason: str, error: type[ClaimRefused]) -> None:
    placet, _ = scripted(refused(409, reason=reason))
    with pytest.raises(ClaimRefused) as caught:
        placet.claim("r", TRANSFER)
    assert (type(caught.value), caught.value.reason) == (error, reason)


def test_the_same_reason_elsewhere_is_no_refused_claim() -> None:
    placet, _ = scripted(refused(409, reason="expired"))
    with pytest.raises(Conflict) as caught:
        placet.withdraw("r")
    assert type(caught.value) is Conflict


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (ended("rejected"), Rejected, "was rejected"),
        (ended("expired"), Expired, "which is not a rejection"),
        (ended("withdrawn", "cancelled"), Withdrawn, "was withdrawn"),
        (ended("cancelled", "cancelled"), Cancelled, "was cancelled"),
        (ended("approved", "failed"), Failed, "has failed"),
        (ended("approved in part"), EndedOtherwise, "ended as 'approved in part'"),
        (request(returned=True), ChangesRequested, "returned for changes"),
    ],
)
def test_every_outcome_is_told_apart(answer: httpx.Response, error: type[Exception], says: str) -> None:
    placet, _ = scripted(answer)
    with pytest.raises(error, match=says) as caught:
        placet.wait_for_approval("r")
    assert type(caught.value) is error


def test_waiting_asks_again_in_bounded_polls_and_goes_on_where_placet_was_away(slept: list[float]) -> None:
    answers = [request(), NOBODY, refused(503, retry_after="2"), request(), ended("approved")]
    placet, script = scripted(*answers, retries=Retries(seconds=0))
    assert placet.wait_for_approval("r").approved
    assert [call.url.params["wait"] for call in script.calls] == ["55"] * 5
    assert slept[0] == 1, "an answer before its time, as of a process that stops, is not asked for again at once"


async def test_waiting_ends_when_its_time_is_over_and_says_that_nothing_is_decided() -> None:
    placet, script = scripted_async(request())
    with pytest.raises(StillPending, match="neither approved nor rejected") as caught:
        await placet.wait("r", timeout=0)
    assert (script.calls[0].url.params["wait"], caught.value.request.status) == ("0", "pending")


def test_what_is_wrong_with_a_call_ends_the_waiting() -> None:
    placet, script = scripted(refused(404))
    with pytest.raises(NotFound):
        placet.wait("r")
    assert len(script.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>", headers={"Content-Type": "text/html"}),
        httpx.Response(302, headers={"Location": "https://elsewhere.example.com/"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"id": 1}),
        httpx.Response(200, text="{", headers={"Content-Type": "application/json"}),
    ],
)
def test_an_answer_of_something_else_is_an_error_of_its_own(answer: httpx.Response) -> None:
    placet, script = scripted(answer)
    with pytest.raises(UnexpectedAnswer):
        placet.request("r")
    assert len(script.calls) == 1


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_BYTES", 1000)
    placet, _ = scripted(httpx.Response(200, content=b" " * 1001, headers={"Content-Type": "application/json"}))
    with pytest.raises(UnexpectedAnswer, match="longer"):
        placet.request("r")


def test_fields_of_a_newer_server_are_ignored() -> None:
    placet, _ = scripted(request(something_new={"a": 1}))
    assert placet.request("r").started_at == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_an_action_is_sent_as_it_is_and_amounts_as_text() -> None:
    placet, script = scripted(claimed())
    until = datetime(2026, 3, 2, 9, tzinfo=UTC)
    given = Action(type="transfer", target="a", parameters={"amount": Decimal("820.00"), "on": until}, expires_at=until)
    placet.claim("r", given)
    at = "2026-03-02T09:00:00Z"
    action = {"type": "transfer", "target": "a", "parameters": {"amount": "820.00", "on": at}, "expires_at": at}
    assert script.bodies() == [{"action": action}]


def test_a_time_without_an_offset_is_refused() -> None:
    placet, script = scripted(claimed())
    with pytest.raises(ValueError, match="no offset"):
        placet.claim("r", Action(type="t", target="a", parameters={}, expires_at=datetime(2026, 3, 2)))  # noqa: DTZ001 - the fault
    assert script.calls == []


@pytest.mark.parametrize("ident", ["", ".", ".."])
def test_an_id_never_leads_to_another_path(ident: str) -> None:
    placet, script = scripted(request())
    with pytest.raises(ValueError, match="is no id"):
        placet.request(ident)
    placet.request("a/../b?c")
    assert script.calls[0].url.raw_path.decode() == "/api/v1/workflow/requests/a%2F..%2Fb%3Fc/"


@pytest.mark.parametrize(
    ("url", "token"),
    [
        (None, TOKEN),
        (URL, None),
        ("placet.example.com", TOKEN),
        ("ftp://placet.example.com", TOKEN),
        ("https://user:word@placet.example.com", TOKEN),
        (URL, "two words"),
        (URL, "line\nbreak"),
    ],
)
def test_where_placet_is_has_to_be_said(monkeypatch: pytest.MonkeyPatch, url: str | None, token: str | None) -> None:
    for name in ("PLACET_URL", "PLACET_TOKEN", "PLACET_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Misconfigured):
        Client(url, token)


def test_the_address_may_name_the_api_and_the_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_URL", f"{URL}/api/v1/")
    monkeypatch.setenv("PLACET_TOKEN", TOKEN)
    with Client() as placet:
        assert placet.place.url == URL
        assert TOKEN not in repr(placet.place)
