"""Evidence: which requests a seed draws, what in a chain is an exception, and which archives are refused."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from placet.audit.chain import Entry
from placet.audit.evidence import EXCEPTIONS, READ, Sampling, exceptions_of, signed_manifest
from placet.audit.receipts import ReceiptKey
from service.evidence.archive import MANIFEST
from tests.evidence import faulty, packed, verdict_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
IDS = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


def drawn(seed: str, size: int, ids: list[str]) -> list[str]:
    sampling = Sampling(seed, size)
    for one in ids:
        sampling.add(one)
    return sampling.chosen()


@given(IDS, st.text(min_size=1, max_size=5), st.integers(0, 50), st.randoms(use_true_random=False))
def test_a_sample_is_what_five_lines_draw_from_population_and_seed_in_whatever_order(
    ids: list[str], seed: str, size: int, random: Any
) -> None:
    expected = sorted(ids, key=lambda one: sha256(f"{seed}\n{one}".encode()).hexdigest())[:size]
    assert drawn(seed, size, ids) == expected
    random.shuffle(ids)
    assert drawn(seed, size, ids) == expected


def test_each_request_is_drawn_about_as_often_as_the_others() -> None:
    ids = [f"r{number}" for number in range(20)]
    times = dict.fromkeys(ids, 0)
    for seed in range(2000):
        for one in drawn(str(seed), 5, ids):
            times[one] += 1
    assert all(400 < count < 600 for count in times.values()), times  # 500 expected, and a deviation of 19


def entry(seq: int, kind: str, actor: str = "system", task_id: str | None = "t1", **detail: Any) -> Entry:
    return Entry(
        seq=seq,
        at=NOW + timedelta(hours=seq),
        kind=kind,
        actor=actor,
        stage="Manager",
        task_id=task_id,
        detail=detail,
        hash="",
    )


APPROVED = entry(1, "decided", "user:bob", decision="approve")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(1, "sla_breached"), entry(2, "sla_critical")], ["late", "late"]),
        ([entry(1, "escalated", after={"to": ["user:dora"]})], ["escalated"]),
        ([entry(1, "escalated", after={"to": ["user:dora", "user:olivia"]})], ["escalated_to_owner"]),
        ([entry(1, "cancelled", "user:adam")], ["intervention"]),
        ([entry(1, "migrated", "user:adam")], ["intervention"]),
        ([entry(1, "extended", "user:olivia")], ["intervention"]),
        ([entry(1, "extended")], []),  # the request stood still
        ([entry(1, "reassigned", "user:adam", before={"assignee": "user:bob"})], ["intervention"]),
        ([entry(1, "reassigned", "user:bob", before={"assignee": "user:bob"})], []),  # bob's own
        ([entry(1, "reassigned", before={"assignee": "user:bob"})], []),  # bob has left
        ([entry(1, "withdrawn", "user:ann")], []),
        ([APPROVED, entry(2, "decision_undone", "user:bob")], ["decision_undone"]),
        ([APPROVED, entry(2, "resubmitted", "user:ann", changes=[{"field": "amount"}])], ["changed_after_approval"]),
        ([APPROVED, entry(2, "resubmitted", "user:ann")], []),  # nothing was changed
        ([APPROVED, entry(2, "resubmitted", "user:ann", changes={"sealed": "ab"})], ["changed_after_approval"]),
        ([APPROVED, entry(2, "attached", "user:ann")], ["changed_after_approval"]),
        ([APPROVED, entry(2, "migrated", "user:adam")], ["intervention", "changed_after_approval"]),
        (
            [APPROVED, entry(2, "decision_undone", "user:bob"), entry(3, "attached", "user:ann")],
            ["decision_undone"],
        ),
        ([entry(1, "decided", "user:bob", decision="reject"), entry(2, "attached", "user:ann")], []),
        ([entry(1, "attached", "user:ann")], []),
        ([entry(1, "signal_refused")], ["signal_refused"]),
    ],
)
def test_what_an_auditor_should_look_at_is_an_exception(entries: list[Entry], expected: list[str]) -> None:
    found = list(exceptions_of(entries, "user:olivia"))
    assert [one["exception"] for one in found] == expected
    assert {*expected} <= {*EXCEPTIONS}
    assert list(exceptions_of([one for one in entries if one.kind in READ], "user:olivia")) == found


@pytest.mark.parametrize(
    ("actor", "owner", "capacity"),
    [
        ("user:olivia", "user:olivia", "owner"),
        ("user:adam", "user:olivia", "admin"),
        ("user:adam", None, "admin"),
        ("user:adam", "role:finance", "owner or admin"),  # who was in it then is not on record
    ],
)
def test_an_intervention_says_in_which_capacity_as_far_as_that_is_on_record(
    actor: str, owner: str | None, capacity: str
) -> None:
    (found,) = exceptions_of([entry(1, "cancelled", actor)], owner)
    assert (found["by"], found["actor"]) == (capacity, actor)


def zipped(write: Callable[[ZipFile], object]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        write(archive)
    return file.getvalue()


def commented(archive: ZipFile) -> None:
    archive.comment = b"more"


def info(
    name: str, *, extra: bytes = b"", date: tuple[int, int, int, int, int, int] = (1980, 1, 1, 0, 0, 0)
) -> ZipInfo:
    made = ZipInfo(name, date)
    made.external_attr, made.create_system, made.extra = 0o600 << 16, 3, extra
    return made


@pytest.mark.parametrize(
    ("content", "member"),
    [
        (b"", None),
        (b"PK", None),
        (packed({}), MANIFEST),
        (packed({"../etc/passwd": b""}), "../etc/passwd"),
        (packed({"a/../../b": b""}), "a/../../b"),
        (packed({"a/./b": b""}), "a/./b"),
        (packed({"/a": b""}), "/a"),
        (packed({"a\\b": b""}), "a\\b"),
        (packed({"C:a": b""}), "C:a"),
        (packed({"a/": b""}), "a/"),
        (packed({"a//b": b""}), "a//b"),
        (packed({".hidden": b""}), ".hidden"),
        (packed({"x" * 201: b""}), "x" * 201),
        (packed([("a", b"1"), ("a", b"2")]), "a"),
        (zipped(lambda archive: archive.writestr(info("a"), b"0" * 10_000_000, ZIP_DEFLATED, 9)), "a"),  # a bomb
        (zipped(lambda archive: archive.writestr(info("a", date=(2026, 1, 1, 0, 0, 0)), b"1")), "a"),
        (zipped(lambda archive: archive.writestr(info("a", extra=b"\1\0\1\0x"), b"1")), "a"),
        (zipped(lambda archive: archive.writestr(info("\u00e4"), b"1")), None),
        (zipped(commented), None),
        (packed({"a": b"1", MANIFEST: b"["}), MANIFEST),
        (packed({"a": b"1", MANIFEST: b"{}"}), MANIFEST),
        (packed({"a": b"1", MANIFEST: b"[" * 100_000}), MANIFEST),
        (packed({"a": b"1", MANIFEST: b'{"format": 1, "format": 1}'}), MANIFEST),
    ],
)
def test_an_archive_that_is_not_as_packs_are_is_refused_with_the_member(content: bytes, member: str | None) -> None:
    found = faulty(content)
    assert len(found) == 1
    assert found == [member] or member is None


def test_a_member_that_says_it_is_larger_than_the_archive_is_refused_before_it_is_read() -> None:
    content = bytearray(packed({"a": b"1"}))
    content[18:26] = struct.pack("<2L", 2**32 - 2, 2**32 - 2)
    (fault,) = verdict_of(bytes(content)).faults
    assert (fault.member, fault.message) == ("a", "It is cut short.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEY = ReceiptKey("a secret for the tests alone")
FILES = (
    "log.json",
    "README.md",
    "population.ndjson",
    "exceptions.ndjson",
    "sample.json",
    "keys.json",
    "policies/ab.json",
)
NAMES = ("log", "files", "population", "sample", "from", "until", "process", "exceptions")


@given(st.dictionaries(st.sampled_from(NAMES), JSON) | JSON, st.dictionaries(st.sampled_from(FILES), JSON))
def test_whatever_somebody_signs_with_a_key_of_their_own_gets_a_verdict(body: Any, files: dict[str, Any]) -> None:
    content = {name: json.dumps(value).encode() for name, value in files.items()}
    if isinstance(body, dict):
        body["files"] = [
            {"name": name, "sha256": sha256(one).hexdigest(), "size": len(one)} for name, one in content.items()
        ]
        manifest = signed_manifest(KEY, body)
    else:
        signed = {"format": 1, "body": body, "key_id": KEY.id, "public_key": b64encode(KEY.public).decode()}
        signature = KEY.signature(b"placet evidence 1\n", signed)
        manifest = rfc8785.dumps({**signed, "signature": signature})
    assert faulty(packed({**content, MANIFEST: manifest}))


@given(st.binary(max_size=200))
def test_whatever_is_given_for_a_pack_gets_a_verdict(content: bytes) -> None:
    assert faulty(content)
    assert faulty(b"PK\x03\x04" + content)
    assert faulty(packed({MANIFEST: content}))
