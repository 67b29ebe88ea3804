"""Attachments in the core: a file makes a revision, and approvals hold for the files that were there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from placet.engine.content import content_digest
from placet.engine.events import Actor, Attach, OpeningFile, Resubmit
from placet.errors import ContentChanged, InputInvalid, NotPermitted, Refused, TypeNotAllowed
from service.attachments.types import INLINE, media_type_of, require_allowed
from tests.unit.core import Case
from tests.unit.test_revisions import RITA, chain, resubmit

SHA = hashlib.sha256(b"offer").hexdigest()


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def attach(request: Case, name: str = "offer.pdf", by: Actor = RITA, **more: Any) -> None:
    given: dict[str, Any] = {"media_type": "application/pdf", "size": 5, "sha256": SHA} | more
    request.do(Attach(by=by, name=name, **given))


def test_a_file_makes_a_revision_with_another_digest_and_is_in_the_chain() -> None:
    request = chain()
    before = request.state.content_digest
    attach(request)
    assert request.state.revision == 2
    assert request.state.content_digest != before
    (entry,) = request.of_kind("attached")
    assert (entry.detail["n"], entry.detail["sha256"], entry.detail["revision"]) == (1, SHA, 2)
    assert (request.task.revision, request.task.content_digest) == (2, request.state.content_digest)


def test_who_saw_the_request_without_the_file_does_not_decide_on_it() -> None:
    request = chain()
    attach(request)
    with pytest.raises(ContentChanged) as refused:
        request.decide("mo", revision=1)
    assert refused.value.difference == ({"field": "attachments", "before": None, "after": ["offer.pdf"]},)
    request.decide("mo", revision=2)


def test_files_come_before_the_first_decision_or_while_the_request_is_returned() -> None:
    request = chain()
    request.decide("mo")
    with pytest.raises(Refused, match="decided already"):
        attach(request)
    request.decide("cfo", "request_changes")
    attach(request)
    assert request.state.revision == 2


def test_a_file_that_came_while_the_request_was_returned_voids_the_approvals() -> None:
    request = chain()
    request.decide("mo")
    request.decide("cfo", "request_changes")
    attach(request)
    request.do(Resubmit(by=RITA))
    assert request.asked == ["mo"]
    request.decide("mo", revision=2)
    assert request.asked == ["cfo"]


def test_a_file_leaves_the_approvals_where_the_process_says_so() -> None:
    request = chain(settings={"on_change": "stage"})
    request.decide("mo")
    request.decide("cfo", "request_changes")
    attach(request)
    resubmit(request)
    assert request.asked == ["cfo"]


def test_only_the_requester_attaches() -> None:
    request = chain()
    with pytest.raises(NotPermitted):
        attach(request, by=Actor(person="mo"))


OFFER = OpeningFile(name="offer.pdf", media_type="application/pdf", size=5, sha256=SHA)


def test_files_that_a_request_begins_with_are_of_its_first_revision_and_there_before_anybody_is_asked() -> None:
    request = chain(files=(OFFER, replace(OFFER, name="plan.pdf", sha256="a" * 64)))
    state = request.state
    assert [(one.n, one.name, one.revision, one.uploaded_by) for one in state.attachments] == [
        (1, "offer.pdf", 1, "rita"),
        (2, "plan.pdf", 1, "rita"),
    ]
    assert state.revision == 1
    assert state.content_digest == content_digest(request.plan, state.title, state.given, state.attachments)
    assert state.content_digest != chain().state.content_digest
    kinds = [entry.kind for entry in request.entries]
    assert kinds[:4] == ["started", "attached", "attached", "task_opened"]
    assert request.entries[0].detail["content_digest"] == request.task.content_digest == state.content_digest
    attach(request, "late.pdf")
    assert (request.state.attachments[-1].n, request.state.revision) == (3, 2)


def test_a_request_does_not_begin_with_a_file_that_cannot_be() -> None:
    with pytest.raises(InputInvalid) as refused:
        chain(files=(OFFER, replace(OFFER, name="../etc/passwd")))
    assert refused.value.problems[0].pointer == "/files/1/name"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../etc/passwd"),
        ("name", ""),
        ("name", "a" * 201),
        ("name", "a\u0000b"),
        ("media_type", "<script>"),
        ("sha256", "abc"),
        ("size", -1),
    ],
)
def test_facts_of_a_file_that_cannot_be_are_refused_with_their_place(field: str, value: Any) -> None:
    request = chain()
    given = {"name": "offer.pdf", field: value}
    with pytest.raises(InputInvalid) as refused:
        attach(request, **given)
    assert refused.value.problems[0].pointer == f"/{field}"
    assert request.state.attachments == ()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("offer.pdf", b"%PDF-1.7 ...", "application/pdf"),
        ("photo.bin", b"\x89PNG\r\n\x1a\n" + bytes(40), "image/png"),
        ("list.csv", b"a;b\n1;2\n", "text/csv"),
        ("note", "Grüße".encode(), "text/plain"),
        ("page.txt", b"<!doctype html><html><script>alert(1)</script></html>", "text/html"),
        ("unknown", bytes(range(256)), "application/octet-stream"),
        ("empty.dat", b"", "application/octet-stream"),
        ("picture.svg", SVG, "image/svg+xml"),
        ("picture.svg", b"<!-- a picture -->" + SVG, "image/svg+xml"),
        ("bomb.zip", b"PK\x03\x04" + bytes(60), "application/zip"),
    ],
)
def test_the_type_of_a_file_is_found_by_its_content(name: str, content: bytes, found: str) -> None:
    assert media_type_of(name, None, content) == found


@pytest.mark.parametrize(
    ("name", "declared"), [("offer.pdf", None), ("offer", "application/pdf"), ("photo.png", "image/png")]
)
def test_a_page_that_pretends_to_be_a_document_or_an_image_is_refused(name: str, declared: str | None) -> None:
    with pytest.raises(TypeNotAllowed, match="text/html"):
        media_type_of(name, declared, b"<html><script>alert(1)</script></html>")


@pytest.mark.parametrize(
    "content",
    [
        SVG,
        b"<html><script>alert(1)</script></html>",
        b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>",
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n<script>alert(1)</script>",
        b"<script>alert(1)</script>",
        b"PK\x03\x04" + bytes(60),
        b"\x1f\x8b\x08" + bytes(60),
        b"",
    ],
)
@pytest.mark.parametrize("name", ["x.svg", "x.html", "x.xml", "x.mht", "x.docx", "x.zip", "x.gz", "x"])
def test_nothing_that_can_run_or_be_unpacked_is_of_a_type_that_browsers_show(name: str, content: bytes) -> None:
    assert media_type_of(name, None, content) not in INLINE
    assert media_type_of(name, "image/svg+xml", content) not in INLINE


def test_a_process_may_name_the_types_that_it_takes() -> None:
    require_allowed("image/png", ("application/pdf", "image/*"))
    require_allowed("text/plain", ())
    with pytest.raises(TypeNotAllowed, match="application/pdf"):
        require_allowed("text/html", ("application/pdf", "image/*"))
