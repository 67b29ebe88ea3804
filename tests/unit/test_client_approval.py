"""`@requires_approval`: a function runs after a successful claim of exactly this call, and at no other time."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import httpx
import pytest

from placet.client import (
    ArgumentsChanged,
    ClaimRefused,
    Client,
    ClientError,
    Request,
    Retries,
    StillPending,
    Unreachable,
    requires_approval,
)
from placet.client.arguments import as_parameters
from tests.scripted_api import Script, claimed, ended, refused, request, scripted, scripted_async

NEVER_APPROVED = [
    ("rejected", [ended("rejected")], ClientError),
    ("expired", [ended("expired")], ClientError),
    ("withdrawn", [ended("withdrawn", "cancelled")], ClientError),
    ("returned", [request(returned=True)], ClientError),
    ("still pending", [request()], StillPending),
    ("another digest", [ended("approved"), refused(409, reason="digest_mismatch")], ClaimRefused),
    ("claimed before", [ended("approved"), refused(409, reason="already_claimed")], ClaimRefused),
    ("no right to claim", [ended("approved"), refused(403)], ClientError),
    ("claim without an answer", [ended("approved"), httpx.ReadTimeout("silence")], Unreachable),
    ("an answer of something else", [ended("approved"), httpx.Response(200, json={})], ClientError),
]
END = datetime(2199, 3, 2, 9, tzinfo=UTC)
GRANTED = [request(), ended("approved"), claimed()]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses pass at once."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


def pay_with(client: Client, ran: list[Any], **more: Any) -> Any:
    """Return a function that needs an approval."""

    @requires_approval("Payments", type="transfer", target=lambda call: f"account:{call['to']}", client=client, **more)
    def pay(to: str, amount: Decimal, notes: list[str] | None = None) -> str:
        """Pay."""
        ran.append((to, amount, notes))
        return "paid"

    return pay


def test_it_asks_waits_claims_and_then_runs() -> None:
    client, script = scripted(*GRANTED)
    ran: list[Any] = []
    pay = pay_with(client, ran, input=lambda call: {"amount": call["amount"]}, title="Pay")
    assert (pay("1", amount=Decimal("820.00")), ran) == ("paid", [("1", Decimal("820.00"), None)])
    assert [path.split()[0] for path in script.paths] == ["POST", "GET", "POST"]
    start, claim = script.bodies()
    parameters = {"to": "1", "amount": "820.00", "notes": None}
    assert start["action"] == claim["action"]
    assert start["action"] | {"expires_at": 0} == {
        "type": "transfer", "target": "account:1", "parameters": parameters, "expires_at": 0
    }  # fmt: skip
    assert (start["template"], start["input"], start["title"]) == ("Payments", {"amount": "820.00"}, "Pay")
    assert (pay.__name__, pay.__doc__) == ("pay", "Pay.")


@pytest.mark.parametrize(("_what", "answers", "error"), NEVER_APPROVED, ids=[row[0] for row in NEVER_APPROVED])
def test_it_runs_on_nothing_else(_what: str, answers: list[Any], error: type[Exception]) -> None:
    client, script = scripted(request(), *answers, retries=Retries(seconds=0))
    ran: list[Any] = []
    timeout = 0 if error is StillPending else None
    with pytest.raises(error):
        pay_with(client, ran, timeout=timeout)("1", Decimal(1))
    assert (ran, len(script.calls)) == ([], 1 + len(answers))


async def test_a_coroutine_waits_in_the_same_way() -> None:
    client, script = scripted_async(*GRANTED)

    @requires_approval("Payments", type="transfer", target="account:1", client=client)
    async def pay(amount: str) -> str:
        return f"paid {amount}"

    assert await pay("820.00") == "paid 820.00"
    assert len(script.calls) == 3


async def test_a_coroutine_does_not_run_without_its_claim() -> None:
    client, _ = scripted_async(request(), ended("approved"), refused(409, reason="expired"))
    ran = []

    @requires_approval("Payments", type="transfer", target="account:1", client=client)
    async def pay() -> None:
        ran.append(1)

    with pytest.raises(ClaimRefused):
        await pay()
    assert ran == []


def _changing(script: Script, notes: list[str], at: str) -> None:
    script.before = lambda call: notes.append("changed") if call.method == at and script.calls else None


def test_arguments_that_change_while_people_decide_are_claimed_as_they_are_now() -> None:
    client, script = scripted(*GRANTED[:2], refused(409, reason="digest_mismatch"))
    notes, ran = ["as approved"], []  # type: ignore[var-annotated]
    _changing(script, notes, "GET")
    with pytest.raises(ClaimRefused):
        pay_with(client, ran)("1", Decimal(1), notes)
    assert script.bodies()[0]["action"]["parameters"]["notes"] == ["as approved"]
    assert script.bodies()[1]["action"]["parameters"]["notes"] == ["as approved", "changed"]
    assert ran == []


def test_arguments_that_change_after_the_claim_do_not_run() -> None:
    client, script = scripted(*GRANTED)
    notes, ran = ["as claimed"], []  # type: ignore[var-annotated]
    _changing(script, notes, "POST")
    with pytest.raises(ArgumentsChanged):
        pay_with(client, ran)("1", Decimal(1), notes)
    assert ran == []


def test_a_key_names_the_request_and_never_the_claim() -> None:
    keys = []
    for _ in range(2):
        client, script = scripted(*GRANTED)
        pay_with(client, [], key=lambda call: f"pay-{call['to']}", expires_at=lambda _: END)("7", Decimal(1))
        keys.append((script.keys[0], script.keys[2]))
    assert keys[0][0] == keys[1][0] == "pay-7"
    assert keys[0][1] != keys[1][1], "a process that starts again would run the function a second time"


def test_a_time_until_which_it_may_be_claimed_is_part_of_the_action() -> None:
    client, script = scripted(*GRANTED)
    pay_with(client, [], expires_at=lambda _: END)("7", Decimal(1))
    assert [body["action"]["expires_at"] for body in script.bodies()] == ["2199-03-02T09:00:00Z"] * 2


def test_nobody_waits_for_an_approval_that_could_not_be_claimed_any_more() -> None:
    client, script = scripted(request())
    with pytest.raises(StillPending):
        pay_with(client, [], valid_for=timedelta(0))("7", Decimal(1))
    assert len(script.calls) == 2


def test_a_key_needs_an_end_that_is_the_same_again() -> None:
    with pytest.raises(TypeError, match="expires_at"):
        requires_approval("P", type="t", target="a", key=lambda _: "k")


def test_whoever_wants_to_know_is_told_the_request(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = scripted(*GRANTED)
    told: list[Request] = []
    with caplog.at_level(logging.INFO, logger="placet.client"):
        pay_with(client, [], on_asked=told.append)("7", Decimal(1))
    assert len(told) == 1
    assert any(told[0].id in record.getMessage() for record in caplog.records)


def test_a_method_is_approved_without_its_object() -> None:
    client, script = scripted(*GRANTED)

    class Bank:
        @requires_approval("Payments", type="transfer", target="bank", client=client)
        def pay(self, amount: int) -> int:
            return amount

    assert Bank().pay(7) == 7
    assert script.bodies()[0]["action"]["parameters"] == {"amount": 7}


def test_what_cannot_wait_is_refused_where_it_is_written() -> None:
    client, _ = scripted(request())

    def rows() -> Any:
        yield 1

    async def later() -> None: ...

    for function in (rows, later):
        with pytest.raises(TypeError):
            requires_approval("P", type="t", target="a", client=client)(function)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Place:
    city: str


def test_arguments_become_json_that_means_the_same_everywhere() -> None:
    given = {
        "amount": Decimal("1E+3"), "on": date(2026, 3, 2), "colour": Colour.RED, "place": Place("Ulm"),
        "many": (1, 2.5, None, True), "more": {"a": [Decimal("0.10")]},
    }  # fmt: skip
    assert as_parameters(given) == {
        "amount": "1000", "on": "2026-03-02", "colour": "red", "place": {"city": "Ulm"},
        "many": [1, 2.5, None, True], "more": {"a": ["0.10"]},
    }  # fmt: skip


def _nested() -> Any:
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "value", [2**53 + 1, float("nan"), float("inf"), Decimal("NaN"), b"bytes", {1: 2}, object(), {1, 2}, _nested()]
)
def test_an_argument_that_people_could_not_read_is_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^thing"):
        as_parameters({"thing": value})
