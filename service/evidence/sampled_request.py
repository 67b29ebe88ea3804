"""Verify what a pack has of one sampled request: its chain, receipts, attachments, versions and exceptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.audit.chain import Entry, first_bad, genesis, standing_decisions
from placet.audit.evidence import DECISIONS, exceptions_of
from placet.audit.receipts import fault_of
from placet.audit.sealed import without_erased
from placet.transparency.inclusion import Inclusion, read_inclusion
from service.evidence.archive import Fault, Member
from service.evidence.building import attachment_line, entry_line, versions_of
from service.evidence.deliveries import counted, faults_of
from storage.queries.requests.attachments import KIND

_ENDINGS = {"completed": "completed", "failed": "failed", "withdrawn": "cancelled", "cancelled": "cancelled"}


@dataclass(kw_only=True)
class RequestFaults:
    """One request of the sample; the last five fields are known once its faults were looked for."""

    request_id: str
    folder: str
    population: dict[str, Any]
    chain: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    deliveries: list[dict[str, Any]] | None  # None in packs from before these were in them
    exceptions: list[dict[str, Any]]
    policies: dict[str, dict[str, Any]]
    members: dict[str, Member]
    key_id: str
    since: str
    until: str
    files: set[str] = field(default_factory=set)
    policies_used: set[str] = field(default_factory=set)
    delivered: Counter[str] = field(default_factory=Counter)
    inclusions: list[Inclusion] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)  # bodies of receipts without an inclusion

    def faults(self) -> Iterator[Fault]:
        """Yield whatever does not fit together."""
        entries = [_entry(one) for one in self.chain]
        bad = first_bad(genesis(self.request_id), entries)
        if bad is None and [entry_line(entry) for entry in entries] != self.chain:
            bad = 1
        if bad is not None:
            yield self._fault("chain", f"Entry {bad} was altered, or does not follow the one before it.")
            return
        yield from self._against_population(entries)
        yield from self._receipts(entries)
        yield from self._attachments(entries)
        yield from self._deliveries(entries)
        yield from self._versions(entries)
        expected = [{"request_id": self.request_id, **one} for one in exceptions_of(entries, self.population["owner"])]
        if self.exceptions != expected:
            message = f"The exceptions of the request {self.request_id} are not those in its chain."
            yield Fault(member="exceptions.ndjson", message=message)

    def _against_population(self, entries: list[Entry]) -> Iterator[Fault]:
        row, last = self.population, entries[-1]
        ending = next((e for e in reversed(entries) if e.kind in _ENDINGS and e.task_id is None), None)
        told = {
            "entries": last.seq,
            "head": last.hash,
            "status": _ENDINGS[ending.kind] if ending is not None else "pending",
            "outcome": ending.detail.get("outcome") if ending is not None else None,
            "started_at": self.chain[0]["at"],
            "ended_at": self.chain[ending.seq - 1]["at"] if ending is not None else None,
            "decisions": sum(one["kind"] in DECISIONS and self.since <= one["at"] < self.until for one in self.chain),
        }
        for name, value in told.items():
            if row[name] != value:
                message = f"The request {self.request_id} has another {name} than its chain says."
                yield Fault(member="population.ndjson", message=message)

    def _receipts(self, entries: list[Entry]) -> Iterator[Fault]:
        stand = {task for entry in entries if entry.kind == "decision_stands" for task in [entry.task_id]}
        decisions = {
            task: entry
            for task, entry in standing_decisions(entries).items()
            if "undo_until" not in entry.detail or task in stand
        }
        for receipt in self.receipts:
            fault = fault_of(receipt)
            if fault is None and receipt["key_id"] != self.key_id:
                fault = "It is signed with another key than the manifest."
            if fault is not None:
                yield self._fault("receipts", fault)
                continue
            if receipt["inclusion"] is None:
                self.pending.append(receipt["body"])
            else:
                self.inclusions.append(read_inclusion(receipt["inclusion"], receipt["body"]))
            entry = decisions.pop(receipt["body"]["task_id"], None)
            if entry is None:
                yield self._fault("receipts", f"The chain has no decision of the task {receipt['body']['task_id']}.")
            else:
                yield from self._receipt(receipt["body"], entry, entries)
        for task in decisions:
            yield self._fault("receipts", f"The decision of the task {task} has no receipt.")

    def _receipt(self, body: dict[str, Any], entry: Entry, entries: list[Entry]) -> Iterator[Fault]:
        told = {
            "request_id": self.request_id,
            "stage": entry.stage,
            "decided_by": entry.actor,
            "decided_at": self.chain[entry.seq - 1]["at"],
            "seq": entry.seq,
            "entry_hash": entry.hash,
            "on_behalf_of": entry.detail.get("on_behalf_of"),
            "via": entry.detail.get("via"),
            "decision": entry.detail.get("decision"),
        }
        content, _ = without_erased(entry.detail)
        told |= {name: content[name] for name in ("revision", "content_digest", "round") if name in content}
        if body["comment"] is not None:
            told["comment"] = content.get("why")
        for name, value in told.items():
            if body[name] != value:
                yield self._fault("receipts", f"The receipt of {body['task_id']} has another {name} than the chain.")
        for step in body["path"]:
            place = step["seq"]
            if not 0 < place <= len(entries) or entries[place - 1].hash != step["entry_hash"]:
                yield self._fault(
                    "receipts", f"The receipt of {body['task_id']} names an entry {place} that is not so."
                )
        policy = self.policies.get(body["version"])
        if policy is None:
            yield self._fault("receipts", f"The pack lacks version {body['version']}, under which was decided.")
        elif any(body[name] != policy[name] for name in ("blueprint_digest", "certificate_digest")):
            yield self._fault("receipts", f"The receipt of {body['task_id']} names other digests of {body['version']}.")

    def _attachments(self, entries: list[Entry]) -> Iterator[Fault]:
        lines = [{name: value for name, value in one.items() if name != "file"} for one in self.attachments]
        if lines != [attachment_line(entry) for entry in entries if entry.kind == KIND]:
            yield self._fault("attachments", "These are not the attachments in the chain.")
        for one in self.attachments:
            name = one["file"]
            if name is None:
                continue
            self.files.add(name)
            member = self.members.get(name)
            if name != f"{self.folder}/files/{one['sha256']}" or member is None:
                yield self._fault("attachments", f"It names a file that is not there: {name}.")
            elif (member.sha256, member.size) != (one["sha256"], one["size"]):
                yield Fault(member=name, message="It is not the file whose SHA-256 the chain holds.")

    def _deliveries(self, entries: list[Entry]) -> Iterator[Fault]:
        if self.deliveries is None:
            return
        found = [_entry(one) for one in self.deliveries]
        self.delivered = counted(found)
        if [entry_line(one) for one in found] != self.deliveries:
            yield self._fault("deliveries", "A delivery is not written as packs have them.")
            return
        for message in faults_of(self.request_id, found, entries):
            yield self._fault("deliveries", message)

    def _versions(self, entries: list[Entry]) -> Iterator[Fault]:
        for version in versions_of(entries) or {self.population["version"]}:
            policy = self.policies.get(version)
            if policy is None:
                yield self._fault("chain", f"The pack lacks version {version} of the process, which it followed.")
            else:
                self.policies_used.add(policy["blueprint_digest"])
        digest = entries[0].detail.get("digest")
        policy = self.policies.get(str(entries[0].detail.get("version")))
        if digest is not None and policy is not None and digest != policy["blueprint_digest"]:
            yield self._fault("chain", "It began with another blueprint than the one in the pack.")

    def _fault(self, part: str, message: str) -> Fault:
        return Fault(member=f"{self.folder}/{part}.ndjson", message=message)


def _entry(line: dict[str, Any]) -> Entry:
    return Entry(
        seq=line["seq"],
        at=datetime.fromisoformat(line["at"]),
        kind=line["kind"],
        actor=line["actor"],
        stage=line["stage"],
        task_id=line["task_id"],
        detail=line["detail"],
        salts=line["salts"],
        hash=line["hash"],
    )
