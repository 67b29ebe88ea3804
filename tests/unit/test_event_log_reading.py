"""Event logs are read in a stream, and what is no log is refused with its place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from insight.event_logs.bounds import DEEPEST, LONGEST_LINE, MOST_COLUMNS
from insight.event_logs.column_map import complete, parse_map, proposed, resolved
from insight.event_logs.reading import Event, EventReader, head_of
from placet.errors import InputInvalid
from tests.event_logs import CSV_MAP, XES_MAP, as_csv, as_xes, kept

ROWS = [
    {"case": "c1", "activity": "Submit", "at": "2026-03-02T09:00:00+01:00", "user": "rita", "amount": "120.50"},
    {"case": "c1", "activity": "Approved by CFO", "at": "2026-03-02T10:30:00.250Z", "user": "cfo", "amount": "120.50"},
    {"case": "c2", "activity": "Submit", "at": "2026-03-03", "user": "", "amount": ""},
]
NINE = 1_772_438_400_000  # 2026-03-02T08:00:00Z, in milliseconds


def read(path: Path, raw: dict[str, Any]) -> tuple[list[Event], EventReader]:
    reader = EventReader(path, resolved(parse_map(raw), head_of(path).columns))
    return list(reader), reader


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["csv", "semicolons", "byte order mark", "xes"])
def test_the_same_events_are_read_from_every_format(tmp_path: Path, kind: str, packed: bool) -> None:
    content = {
        "csv": as_csv(ROWS),
        "semicolons": as_csv(ROWS, ";"),
        "byte order mark": b"\xef\xbb\xbf" + as_csv(ROWS),
        "xes": as_xes(ROWS),
    }[kind]
    mapped = (XES_MAP if kind == "xes" else CSV_MAP) | {"attributes": ["amount"]}
    events, reader = read(kept(tmp_path, content, packed=packed), mapped)
    assert events == [
        Event("c1", "Submit", NINE, "rita", None, ("120.50",)),
        Event("c1", "Approved by CFO", NINE + 9_000_250, "cfo", None, ("120.50",)),
        Event("c2", "Submit", NINE + 16 * 3_600_000, None, None, (None,)),
    ]
    assert reader.without_zone == 1, "the day without a zone is taken as UTC, and counted"


def test_the_map_is_proposed_by_the_names_of_columns(tmp_path: Path) -> None:
    found = proposed(head_of(kept(tmp_path, as_csv(ROWS))).columns)
    assert found == {**CSV_MAP, "attributes": []}, "one amount explains nothing"
    rows = [{**row, "amount": n, "ticket_id": n, "variant": n} for n, row in enumerate(ROWS)]
    found = proposed(head_of(kept(tmp_path, as_xes(rows))).columns)
    assert found == {
        "case": "case:concept:name",
        "activity": "concept:name",
        "timestamp": "time:timestamp",
        "person": "org:resource",
        "attributes": ["amount"],
    }, "numbers of things and the course of a case are no attributes"
    assert complete(found)
    assert not complete(proposed({"a": frozenset("1"), "b": frozenset("2")}))


@pytest.mark.parametrize(
    ("changed", "pointer", "words"),
    [
        ({"case": "caze"}, "/map/case", "did you mean 'case'?"),
        ({"timestamp": "qqq"}, "/map/timestamp", "it has: activity, amount, at, case, user"),
        ({"attributes": ["amount", "amont"]}, "/map/attributes/1", "did you mean 'amount'?"),
        ({"activity": None}, "/map/activity", ""),
        ({"persn": "user"}, "/map/persn", ""),
    ],
)
def test_a_wrong_column_is_told_with_the_nearest(
    tmp_path: Path, changed: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(kept(tmp_path, as_csv(ROWS)), CSV_MAP | changed)
    assert refused.value.problems[0].pointer == pointer
    assert words in refused.value.message


HEADER = b"case,activity,at,user\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "ZIP"),
        ("case,activity,at".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\x03", "neither XES nor CSV"),
        (b"case,at\n1,2\n", "at least three columns"),
        (b"case,case,at\n", "twice"),
        (HEADER, "no event"),
        (HEADER + b"c1,Submit,2026-03-02,r\xe9my\n", "line 2 is not UTF-8 (byte 23)"),
        (HEADER + b"c1,Submit,2026-03-02,rita,more\n", "line 2 has 5 fields"),
        (
            HEADER + b"c1,Submit,2026-03-02,rita\nc1,Approved,02.03.2026,rita\n",
            "line 3: '02.03.2026' in 'at' does not say which is the day",
        ),
        (HEADER + b"\nc1,Submit,2026-03-02,rita\n,Submit,2026-03-02,rita\n", "line 4 has no value in 'case'"),
        (HEADER + b"c1,Submit,0001-01-01T00:00:00+14:00\nc1,,2026-03-02\n", "line 3 has no value in 'activity'"),
        (HEADER + b"c1," + b"x" * 2_000 + b",2026-03-02,rita\n", "longer than 1,000 characters"),
        (HEADER + b"c1," + b"x" * LONGEST_LINE + b",2026-03-02,rita\n", "line 2 is longer than"),
        (HEADER + b'c1,"' + (b"x" * 99 + b"\n") * 2_000, "this is no CSV"),
        (",".join(f"c{n}" for n in range(MOST_COLUMNS + 1)).encode() + b"\n1,2,3\n", "more than 500 columns"),
    ],
    ids=lambda value: str(value[:30]),
)
def test_what_is_no_log_is_refused_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(kept(tmp_path, content), CSV_MAP)
    assert words in refused.value.message
    assert refused.value.problems[0].pointer == "/file"


LOG = '<log><trace><string key="concept:name" value="c1"/>{}</trace></log>'
EVENT = '<event><string key="concept:name" value="Submit"/><date key="time:timestamp" value="2026-03-02"/></event>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<html></html>", "its root is 'html'"),
        ("<log><trace>", "this is no XML"),
        ('<!DOCTYPE log [<!ENTITY a "b">]>' + LOG.format(EVENT), "document type"),
        ('<!DOCTYPE log SYSTEM "file:///etc/passwd">' + LOG.format(EVENT), "document type"),
        (LOG.format(EVENT + "<list>" * DEEPEST + "</list>" * DEEPEST), "nested deeper"),
        (LOG.format("<!--" + "x" * 3 * LONGEST_LINE + "-->"), "longer than"),
        (LOG.format(EVENT + EVENT.replace("2026-03-02", "yesterday")), "event 2: 'yesterday'"),
        (LOG.format(EVENT).replace("c1", ""), "event 1 has no value in 'case:concept:name'"),
        ('<?xml version="1.0" encoding="no-such"?>' + LOG.format(EVENT), "encoding"),
        (
            LOG.format("".join(f'<string key="k{n}" value=""/>' for n in range(MOST_COLUMNS + 1))),
            "different attributes",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_hostile_or_broken_xes_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(kept(tmp_path, content.encode()), XES_MAP | {"person": None})
    assert words in refused.value.message


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(HEADER + b"c1,Submit,2026-03-02,rita\n" * 3_000_000)
    assert len(bomb) < 300_000
    path = kept(tmp_path, bomb)
    reader = EventReader(path, resolved(parse_map(CSV_MAP), head_of(path).columns), most_bytes=10_000_000)
    with pytest.raises(InputInvalid, match="more than 10,000,000 bytes"):
        list(reader)


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(as_csv(ROWS * 1_000))[:-20])
    with pytest.raises(InputInvalid, match="cannot be unpacked"):
        read(path, CSV_MAP)


def test_attributes_inside_attributes_are_left_out(tmp_path: Path) -> None:
    nested = '<string key="amount" value="5"><string key="amount" value="7"/></string><list key="x"></list>'
    content = LOG.format(EVENT.replace("</event>", nested + "</event>"))
    events, _ = read(kept(tmp_path, content.encode()), XES_MAP | {"person": None, "attributes": ["amount"]})
    assert [event.attributes for event in events] == [("5",)]


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("2026/03/02 08:00", None),
        ("2026/3/2 08:00:00+00:00", None),
        ("02/03/2026 08:00", "%d/%m/%Y %H:%M"),
        ("03/02/2026 08:00 AM", "%m/%d/%Y %I:%M %p"),
        ("2.3.26 09:00 +0100", "%d.%m.%y %H:%M %z"),
    ],
)
def test_times_are_read_as_the_map_says(tmp_path: Path, written: str, form: str | None) -> None:
    rows = [{**row, "at": written} for row in ROWS]
    mapped = CSV_MAP if form is None else CSV_MAP | {"timestamp_format": form}
    events, _ = read(kept(tmp_path, as_csv(rows)), mapped)
    assert {event.at for event in events} == {NINE}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("31/01/2020", '"timestamp_format": "%d/%m/%Y" or "timestamp_format": "%m/%d/%Y"'),
        ("1/2/20 9:05:07 PM", '"%d/%m/%y %I:%M:%S %p" or'),
        ("31.01.2020 10:00:00.5", '"%d.%m.%Y %H:%M:%S.%f" or'),
        ("noon", "or say in the map how times are written"),
    ],
)
def test_a_time_of_which_day_and_month_cannot_be_told_apart_is_refused_with_what_to_write(
    tmp_path: Path, written: str, words: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(kept(tmp_path, as_csv([{**row, "at": written} for row in ROWS])), CSV_MAP)
    (problem,) = refused.value.problems
    assert problem.pointer == "/file"
    assert problem.message.startswith("line 2: ")
    assert words in problem.message


def test_a_time_that_is_not_written_as_the_map_says_is_refused_and_so_is_a_format_without_a_day(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(kept(tmp_path, as_csv(ROWS)), CSV_MAP | {"timestamp_format": "%d/%m/%Y"})
    assert "is not written as the map says, '%d/%m/%Y'" in refused.value.problems[0].message
    for form in ("%H:%M", "%m/%Y", "day", "%", "%d/%m/%Y %Q"):
        with pytest.raises(InputInvalid) as refused:
            parse_map(CSV_MAP | {"timestamp_format": form})
        assert refused.value.problems[0].pointer == "/map/timestamp_format"
