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
    "certificate_digest": None,
    "decision": "approve",
    "comment": "Über „alles“ \u2028 \U0001f600",
    "decided_by": "user:max",
    "on_behalf_of": None,
    "assigned_via": "manager_of(requester)",
    "via": "api",
    "decided_at": "2026-03-02T09:00:00.000000Z",
    "seq": 4,
    "entry_hash": "ef" * 32,
}
KEY = ReceiptKey("a secret for the tests alone")


def by_script(receipt: dict[str, Any], file: Path, *more: str) -> int:
    file.write_text(json.dumps(receipt))
    return subprocess.run([sys.executable, str(SCRIPT), str(file), *more], check=False, capture_output=True).returncode


def altered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Change each value of a receipt, one at a time; take each away, and add one."""
    receipt = KEY.sign(BODY)
    for path in [(name,) for name in receipt] + [("body", name) for name in BODY]:
        *outer, last = path
        for how in ("change", "remove"):
            other = copy.deepcopy(receipt)
            place = other[outer[0]] if outer else other
            value = place.pop(last)
            if how == "change":
                place[last] = value + 1 if isinstance(value, int) else "x" if value is None else {"k": 1}
                if isinstance(value, str):
                    place[last] = ("A" if value[:1] != "A" else "B") + value[1:]
            yield f"{how} {'.'.join(path)}", other
    yield "add", {**receipt, "more": 1}
    yield "add to the body", {**receipt, "body": {**receipt["body"], "more": 1}}


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


def test_the_script_is_short_and_imports_nothing_of_placet() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 60
    assert not {line for line in text.splitlines() if "import" in line and "placet" in line}


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
