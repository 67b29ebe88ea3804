"""The audit chain: canonical form, links, and what a verification finds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from placet.audit.chain import Entry, canonical_json, exact, first_bad, genesis, moment
from tests.unit.core import case

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_keys_beyond_the_basic_plane_sort_by_code_units() -> None:
    value: Any = {"\U0001f600": 1, "\ufb33": 2, "a": '\u20ac"\\\n\x01\x7f'}
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, str(2**53)),
        ([-(2**60)], [str(-(2**60))]),
        ({"a": True}, {"a": True}),
    ],
)
def test_whole_numbers_that_a_double_cannot_hold_are_written_as_text(value: Any, written: Any) -> None:
    assert exact(value) == written


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "2026-03-02T09:00:00.000000Z"),
        (datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=1))), "2026-03-02T08:00:00.000001Z"),
    ],
)
def test_moments_are_written_in_utc_with_microseconds(at: datetime, text: str) -> None:
    assert moment(at) == text


def chain(**more: Any) -> list[Entry]:
    request = case({}, **more)
    request.decide("mo", comment="fine")
    return request.entries


def test_a_request_of_format_1_has_the_chain_that_it_always_had() -> None:
    assert chain(format=1, secret="")[-1].hash == "ad763aef20dc3d61be77daac3ae09f666e2bb173fbdd46bc5a6f3b4ae5e1e492"


def test_a_whole_chain_holds_and_belongs_to_its_request() -> None:
    assert first_bad(genesis("r"), chain()) is None
    assert first_bad(genesis("r"), []) is None
    assert first_bad(genesis("s"), chain()) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"actor": "user:ceo"},
        {"at": datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC)},
        {"kind": "approved"},
        {"stage": None},
        {"task_id": None},
        {"detail": {}},
        {"detail": {"x": object()}},  # what no row should hold
        {"detail": None},
        {"at": None},
        {"hash": "0" * 64},
        {"seq": 9},
    ],
)
def test_an_edited_entry_is_found(changed: dict[str, Any]) -> None:
    entries = chain()
    entries[2] = replace(entries[2], **changed)
    assert first_bad(genesis("r"), entries) == 3


def test_a_missing_a_doubled_and_a_swapped_entry_are_found() -> None:
    one, two, three, *rest = chain()
    assert first_bad(genesis("r"), [one, three, *rest]) == 2
    assert first_bad(genesis("r"), [one, two, two, three, *rest]) == 3
    assert first_bad(genesis("r"), [one, three, two, *rest]) == 2
