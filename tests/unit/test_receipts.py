"""Receipts: what is signed is exactly what was there, and two readers who know nothing of each other agree on that."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import app
from placet.audit.receipts import ReceiptKey, fault_of

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_receipt.py"
BODY: dict[str, Any] = {
    "request_id": "r1",
    "task_id": "r1.1",
    "stage": "Manager Approval",
    "round": 1,
    "revision": 2,
    "content_digest": "ab" * 32,
    "template": "Expense approval",
    "version": "1.0.0",
    "blueprint_digest": "cd" * 32,
    "certificate_digest": "45" * 32,
    "decision": "approve",
    "comment": "Über „alles“ \u2028 \U0001f600",
    "decided_by": "user:max",
    "on_behalf_of": None,
    "assigned_via": "manager_of(requester)",
    "path": [
        {"seq": 2, "kind": "task_opened", "entry_hash": "01" * 32},
        {"seq": 3, "kind": "escalated", "entry_hash": "23" * 32},
    ],
    "via": "api",
    "decided_at": "2026-03-02T09:00:00.000000Z",
    "signature": {
        "name": "Max",
        "reason": "I reviewed the invoice",
        "method": "passkey",
        "authenticated_at": "2026-03-02T08:59:40.000000Z",
    },
    "seq": 4,
    "entry_hash": "ef" * 32,
}
KEY = ReceiptKey("a secret for the tests alone")


def by_script(receipt: dict[str, Any], file: Path, *more: str) -> int:
    file.write_text(json.dumps(receipt))
    return subprocess.run([sys.executable, str(SCRIPT), str(file), *more], check=False, capture_output=True).returncode


Place = tuple[str | int, ...]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Walk every place of a JSON value: objects, lists, and the leaves in them."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*path, name)
        yield from places(one, (*path, name))


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """Change one value in ways that are easily overlooked: its type, its last character, its order."""
    if isinstance(value, str):
        yield "first character", ("A" if value[:1] != "A" else "B") + value[1:]
        yield "longer", value + " "
        last = value.rstrip("=")
        # The last character of base64 has bits that nobody reads.
        yield "last character", last[:-1] + chr(ord(last[-1]) + 1) + value[len(last) :]
    elif isinstance(value, int):
        yield "next", value + 1
        yield "text", str(value)
    elif isinstance(value, list):
        yield "order", value[::-1]
        yield "shorter", value[:-1]
        yield "longer", [*value, value[-1]]
    elif isinstance(value, dict):
        yield "more", {**value, "more": 1}
        yield "list", list(value.items())
    yield "another type", [value]
    if value is not None:
        yield "nothing", None


def altered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Change each value of a receipt in each way, one at a time; take each away, and add one."""
    receipt = KEY.sign(BODY)
    for path in places(receipt):
        *outer, last = path
        value: Any = receipt
        for name in path:
            value = value[name]
        for how, other in [*changed(value), ("removed", ...)]:
            whole = copy.deepcopy(receipt)
            place: Any = whole
            for name in outer:
                place = place[name]
            if other is ...:
                del place[last]
            else:
                place[last] = other
            yield f"{'.'.join(map(str, path))}: {how}", whole
    yield "add", {**receipt, "more": 1}
    yield "other format", {**receipt, "format": True}
    yield "the signature of another key", {**receipt, "signature": ReceiptKey("another").sign(BODY)["signature"]}
    yield "the signature of another body", {**receipt, "signature": KEY.sign({**BODY, "seq": 5})["signature"]}
    yield (
        "the next key's id and public key",
        {
            **receipt,
            **{
                name: ReceiptKey("a secret for the tests alone", 2).sign(BODY)[name]
                for name in ("key_id", "public_key")
            },
        },
    )


def test_a_receipt_holds_for_placet_and_for_a_script_that_knows_nothing_of_it(tmp_path: Path) -> None:
    receipt = KEY.sign(BODY)
    assert fault_of(json.loads(json.dumps(receipt))) is None
    assert by_script(receipt, tmp_path / "receipt.json") == 0
    assert by_script(receipt, tmp_path / "receipt.json", KEY.id) == 0
    assert by_script(receipt, tmp_path / "receipt.json", ReceiptKey("another").id) == 1


@pytest.mark.parametrize(("what", "receipt"), list(altered()), ids=lambda one: one if isinstance(one, str) else "")
def test_a_receipt_that_was_altered_in_any_place_does_not_hold(what: str, receipt: dict[str, Any]) -> None:
    assert fault_of(receipt) is not None, what


def test_the_script_refuses_every_alteration_as_well() -> None:
    scope: dict[str, Any] = {"__name__": "verify_receipt"}
    exec(SCRIPT.read_text(), scope)
    assert scope["fault_of"](KEY.sign(BODY)) is None
    assert [what for what, receipt in altered() if scope["fault_of"](receipt) is None] == []


def test_a_receipt_that_shows_one_value_and_means_another_does_not_hold(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    shown = json.dumps(KEY.sign(BODY)).replace('"decision": "approve"', '"decision": "reject", "decision": "approve"')
    assert fault_of(json.loads(shown)) is None, "the last one counts"
    file.write_text(shown)
    script = subprocess.run([sys.executable, str(SCRIPT), str(file)], check=False, capture_output=True, text=True)
    assert (script.returncode, "stands twice" in script.stderr) == (1, True)
    command = CliRunner().invoke(app, ["verify", "--receipt", str(file)])
    assert (command.exit_code, "stands twice" in command.output) == (1, True)


def test_the_script_is_short_and_imports_nothing_of_placet() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 60
    assert not {line for line in text.splitlines() if "import" in line and "placet" in line}


def test_the_next_key_of_a_secret_is_another_one_and_leaves_the_receipts_of_the_first_as_they_are() -> None:
    receipt, following = KEY.sign(BODY), ReceiptKey("a secret for the tests alone", 2)
    assert following.id not in {KEY.id, ReceiptKey("a secret for the tests alone", 3).id, ReceiptKey("another", 2).id}
    assert fault_of(receipt) is None
    assert fault_of(following.sign(BODY)) is None
    assert following.sign(BODY)["key_id"] == following.id


def test_a_receipt_that_somebody_else_signed_says_so_by_its_key() -> None:
    forged = ReceiptKey("another secret").sign(BODY)
    assert fault_of(forged) is None
    assert forged["key_id"] != KEY.id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda e: st.lists(e) | st.dictionaries(st.text(), e),
)


@given(JSON)
def test_whatever_is_given_for_a_receipt_gets_a_verdict(value: Any) -> None:
    assert fault_of(value) is not None


@given(st.dictionaries(st.sampled_from(["format", "body", "key_id", "public_key", "signature", "inclusion"]), JSON))
def test_whatever_stands_in_a_receipt_it_gets_a_verdict(changes: dict[str, Any]) -> None:
    receipt = KEY.sign(BODY)
    fault = fault_of({**receipt, **changes})
    assert (fault is None) == ({**receipt, **changes} == receipt)
