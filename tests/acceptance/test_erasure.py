"""A person is erased from a whole installation: no byte of any file holds what they wrote, and everything verifies."""

from __future__ import annotations

import base64
import json
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.processes import STAFF, Caller, Installation, installation
from tests.waiting import PATIENCE, poll

WHO = "p4711"
MARK = "Quastenflosser"
PROCESS: dict[str, Any] = {
    "name": "Erasure desk",
    "version": "1.0.0",
    "variables": [{"name": "why", "type": "string", "required": True}],
    "process_steps": [
        {
            "stage_name": "Manager Approval",
            "form": {"type": "object", "properties": {"remark": {"type": "string"}}, "required": ["remark"]},
        }
    ],
}
PERSON: dict[str, Any] = {
    "id": WHO,
    "name": f"Vera {MARK}",
    "email": f"vera.{MARK}@example.com",
    "department": f"Department of {MARK}",
    "manager": "bob",
    "away": {"from": "2031-08-03T00:00:00Z", "until": "2031-08-17T00:00:00Z"},
    "preferences": {"signature": MARK},
}


def needles() -> set[bytes]:
    """Return what no file may hold: the mark in each case, and as Base64 at each of the three places in a group."""
    found = {MARK.encode(), MARK.lower().encode(), MARK.upper().encode(), MARK.encode("utf-16-le")}
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + MARK.encode())
        found.add(encoded[-(-before * 4 // 3) : -4])
    return found


def files_with(home: Path, sought: Iterable[bytes]) -> list[str]:
    """Return the files below a folder that hold one of these."""
    sought = tuple(sought)
    return sorted(
        str(file.relative_to(home))
        for file in home.rglob("*")
        if file.is_file() and any(needle in file.read_bytes() for needle in sought)
    )


class Story:
    """An installation in which the person asks, decides, writes and is written to."""

    def __init__(self, place: Installation) -> None:
        others = [{**one, "manager": WHO} if one["id"] == "ann" else one for one in STAFF]
        self.place = place
        self.tokens = place.load([*others, PERSON])
        self.process, self.where = place.up()
        self.by = {who: Caller(self.where["api"], token) for who, token in self.tokens.items()}
        template = self.by["olivia"]("POST", "process-templates/", PROCESS, expect=201)
        self.by["olivia"]("POST", f"process-templates/{template['id']}/publish/")

    def ask(self, who: str, title: str) -> dict[str, Any]:
        body = {"template": PROCESS["name"], "title": title, "input": {"why": f"because {title}"}}
        request: dict[str, Any] = self.by[who]("POST", "requests/", body, expect=201)
        return request

    def attach(self, who: str, request: str, content: bytes) -> None:
        sent = {"file": (f"{MARK}.pdf", content, "application/pdf")}
        address = f"{self.where['api']}/api/v1/workflow/requests/{request}/attachments/"
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        answer = httpx.post(address, files=sent, headers=headers, timeout=PATIENCE, trust_env=False)
        assert answer.status_code == 201, answer.text

    def decide(self, who: str, request: dict[str, Any], decision: str, comment: str) -> str:
        task = request["tasks"][0]["id"]
        body = {"decision": decision, "comment": comment, "form": {"remark": f"remark: {comment}"}}
        self.by[who]("POST", f"tasks/{task}/decide/", body)
        return str(task)

    def receipt(self, who: str, task: str) -> dict[str, Any]:
        """Return the receipt of a decision once the log has it."""

        def included() -> dict[str, Any] | None:
            found: dict[str, Any] = self.by[who]("GET", f"decisions/{task}/receipt/")
            return found if found["inclusion"] is not None else None

        return poll(included, what="a receipt with its inclusion")

    def end(self, request: str) -> None:
        """Wait until the request has ended in the database."""
        poll(
            lambda: self.place.rows(
                "SELECT 1 FROM approval_request WHERE id = :id AND ended_at IS NOT NULL", id=request
            ),
            what="the end of the request",
        )

    def change(self, statement: str, **values: Any) -> None:
        """Write a row that people make on pages."""
        with closing(sqlite3.connect(self.place.home / "placet.db", timeout=30)) as connection, connection:
            connection.execute(statement, values)


def told(story: Story) -> tuple[list[str], dict[str, Any]]:
    """Have everything happen that leaves traces; return the person's receipts' tasks, and what still runs."""
    vera, bob, ann = story.by[WHO], story.by["bob"], story.by["ann"]
    mine = story.ask(WHO, f"Trip with {MARK}")
    story.attach(WHO, mine["id"], f"%PDF-1.7\n{MARK}\n".encode())
    vera("POST", f"requests/{mine['id']}/comments/", {"text": f"It is warm, says {MARK}"})
    bob("POST", f"requests/{mine['id']}/questions/", {"text": f"Who is {MARK}?"})
    vera("POST", f"requests/{mine['id']}/questions/1/answer/", {"text": f"I am {MARK}"})
    mine_task = story.decide("bob", vera("GET", f"requests/{mine['id']}/"), "approve", f"Fine, {MARK}")

    anns = story.ask("ann", "A new chair")
    vera("POST", f"requests/{anns['id']}/comments/", {"text": f"Comment of {MARK}"})
    vera("POST", f"requests/{anns['id']}/questions/", {"text": f"Question of {MARK}"})
    ann("POST", f"requests/{anns['id']}/questions/1/answer/", {"text": "An answer of ann's own"})
    anns_task = story.decide(WHO, anns, "reject", f"Reason of {MARK}")

    later = story.ask("ann", "A new table")
    vera("POST", f"requests/{later['id']}/comments/", {"text": f"Late comment of {MARK}"})
    withdrawn = story.ask(WHO, f"Withdrawn by {MARK}")
    vera("POST", f"requests/{withdrawn['id']}/withdraw/", {"reason": f"Reason of {MARK} again"})
    refused = vera.send("POST", "requests/", {"template": f"No process of {MARK}", "input": {}}, key=uuid.uuid4().hex)
    assert refused.is_client_error
    for mode in ("explore", "rehearse"):
        spec = {"mode": mode, "template": PROCESS["name"], "input": {"why": f"What if {MARK}"}, "wait_seconds": 30}
        answer = vera.send("POST", "workflow-simulations/", {k: v for k, v in spec.items() if k != "wait_seconds"})
        assert answer.is_success, answer.text
    story.by["olivia"]("PUT", f"people/{WHO}/", {**PERSON, "department": f"Other of {MARK}", "roles": [MARK]})
    link = {"service": "slack", "workspace": "T1", "member": f"U{MARK}", "person": WHO}
    story.by["olivia"]("POST", "chat-links/", link, expect=201)
    saved = "INSERT INTO saved_view VALUES (:id, :who, :name, :query, 0, '2026-03-02 09:00:00')"
    story.change(saved, id=uuid.uuid4().hex, who=WHO, name=MARK, query=f"q={MARK}")
    for request in (mine["id"], anns["id"], withdrawn["id"]):
        story.end(request)
    return [mine_task, anns_task], later


def test_no_byte_of_a_person_is_left_and_chains_receipts_and_log_verify(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with installation(home, PLACET_LOG_SECONDS="1", PLACET_LOG_FORMAT="json") as place:
        story = Story(place)
        tasks, later = told(story)
        receipts = [story.receipt("olivia", task) for task in tasks]
        still = story.ask(WHO, f"Running with {MARK}")
        (home / "people.json").unlink()  # what the operator loaded
        held = files_with(home, needles())
        assert any(file.startswith("engine/") for file in held), held
        assert any(file.startswith("attachments/") for file in held), held
        assert any(file.startswith("mailbox/") for file in held), held
        assert any(file.startswith("placet.db") for file in held), held
        assert_logs_hold_ids_alone(story)

        command = ("people", "erase", WHO, "--json")
        place.run(*command, "--confirm", WHO, expect=2)  # a request still runs
        assert place.rows("SELECT count(*) FROM person_erasure")[0][0] == 0
        story.by[WHO]("POST", f"requests/{still['id']}/withdraw/", {"reason": f"Again {MARK}"})
        story.end(still["id"])

        state = json.loads(place.run(*command, "--confirm", WHO))
        assert state["completed_at"] is None
        assert [one["name"] for one in state["waiting"] if one["in_database"]] == [later["id"]]
        answer = story.by[WHO].send("GET", "tasks/")
        assert answer.status_code == 401
        story.by["olivia"]("PUT", f"people/{WHO}/", PERSON, expect=409)

        task = poll(
            lambda: next(
                (
                    one
                    for one in story.by["olivia"]("GET", f"requests/{later['id']}/")["tasks"]
                    if one["status"] == "open" and one["assignee"] != f"user:{WHO}"
                ),
                None,
            ),
            what="the task in other hands",
        )
        story.by["olivia"]("POST", f"requests/{later['id']}/cancel/", {"reason": "no longer needed"}, expect=200)
        assert task
        story.end(later["id"])
        path = f"people/{WHO}/erasure/"

        def finished() -> bool:
            done: dict[str, Any] = story.by["olivia"]("POST", path, {"person": WHO})
            return done["completed_at"] is not None and done["waiting"] == []

        poll(finished, what="the end of the erasure")
        assert files_with(home, needles()) == []
        check(place, receipts, tmp_path)
        story.process.stop()
        assert files_with(home, needles()) == []


def assert_logs_hold_ids_alone(story: Story) -> None:
    """Require that no log holds what somebody wrote or who they are beyond their id, nor what lets anybody in."""
    home = story.place.home
    logs = [str(file.relative_to(home)) for file in home.rglob("*.log")]
    assert any(name.startswith("test-") for name in logs), "what the processes log"
    assert any(name.startswith("engine/") for name in logs), "what the engine logs"
    secrets = {token.encode() for token in story.tokens.values()} | {(home / "secret.key").read_bytes().strip()}
    assert [name for name in files_with(home, needles() | secrets) if name in logs] == []


def check(place: Installation, receipts: list[dict[str, Any]], folder: Path) -> None:
    """Require that chains, acts and the log verify, and receipts that were issued before."""
    assert json.loads(place.run("verify", "--json"))["ok"]
    place.run("verify", "--log")
    for number, receipt in enumerate(receipts):
        file = folder / f"receipt-{number}.json"
        file.write_text(json.dumps(receipt))
        place.run("verify", "--receipt", file)
