"""The page on the audit chain verifies an export without Placet, as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from placet.audit.chain import Entry, canonical_json, moment
from placet.audit.sealed import committed
from tests.unit.core import case

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def check(rows: list[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "page"}
    exec(found.group(1), names)
    heads: dict[str, tuple[int, str]] = names["check"](rows)
    return heads


def exported(entries: list[Entry], *, erased: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "request_id": "r",
            "seq": e.seq,
            "at": moment(e.at),
            "kind": e.kind,
            "actor": e.actor,
            "stage": e.stage,
            "task_id": e.task_id,
            "detail": canonical_json(committed(e.detail, e.salts, canonical_json) if erased else e.detail).decode(),
            "salts": canonical_json(e.salts).decode() if e.salts and not erased else None,
            "hash": e.hash,
        }
        for e in entries
    ]


def chain(**more: Any) -> list[Entry]:
    request = case({}, title="Grüße 😀", **more)
    request.decide("mo", comment="fine")
    return request.entries


@pytest.mark.parametrize("secret", ["", "secret"])
@pytest.mark.parametrize("erased", [False, True])
def test_an_exported_chain_verifies_whether_its_content_is_there_or_not(secret: str, erased: bool) -> None:
    entries = chain(secret=secret)
    assert check(exported(entries, erased=erased)) == {"r": (len(entries), entries[-1].hash)}


@pytest.mark.parametrize("field", ["detail", "salts", "actor", "hash"])
def test_an_export_that_was_edited_does_not(field: str) -> None:
    rows = exported(chain())
    rows[0][field] = {
        "detail": rows[0]["detail"].replace("Grüße", "Tschüß"),
        "salts": rows[0]["salts"].replace('":"', '":"0', 1)[:-3] + '"}',
        "actor": "user:eve",
        "hash": "0" * 64,
    }[field]
    with pytest.raises((SystemExit, AssertionError)):
        check(rows)
