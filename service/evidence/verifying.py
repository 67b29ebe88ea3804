"""Verify a pack without a network and a database: nothing is missing, added or altered, and all of it fits together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from placet.audit.evidence import Sampling, fault_of_manifest
from placet.definition.model import parse_definition
from placet.errors import PlacetError
from placet.plan.compiler import digest
from placet.transparency.inclusion import Inclusion
from service.evidence.archive import MANIFEST, Fault, Member, content_of, lines_of, read_archive
from service.evidence.deliveries import counts_of
from service.evidence.inclusions import MEMBER as LOG
from service.evidence.inclusions import faults_of_log
from service.evidence.sampled_request import RequestFaults
from service.receipts import digest_of

_LONGEST_LINE: Final = 16_000_000  # bytes
_LARGEST_MANIFEST: Final = 30_000_000
_SINCE_FIRST = ("chain", "receipts", "attachments")
PARTS: Final = {1: _SINCE_FIRST, 2: (*_SINCE_FIRST, "deliveries"), 3: (*_SINCE_FIRST, "deliveries")}
"""What there is of each sampled request, by the format of the pack."""
_ALWAYS: Final = frozenset({"README.md", "population.ndjson", "exceptions.ndjson", "sample.json", "keys.json"})
_LOGGED: Final = 3  # the first format that says where the log has its decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found: every fault with its member, the key that signed, and what the manifest says where it holds."""

    faults: tuple[Fault, ...]
    key_id: str | None = None
    body: dict[str, Any] | None = None


def verify_evidence(file: IO[bytes], key: str | None = None) -> Verdict:
    """Verify a pack; `key` is the id of the key that it has to be signed with."""
    members, fault = read_archive(file)
    if fault is not None:
        return Verdict(faults=(fault,))
    manifest, fault = _manifest(file, members, key)
    if fault is not None:
        return Verdict(faults=(fault,))
    faults: list[Fault] = []
    try:
        for found in _faults(file, members, manifest):
            faults.append(found)  # noqa: PERF402 - what was found before an error is kept
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        faults.append(Fault(member=None, message=f"It is signed, and is not written as packs are: {error!r:.200}"))
    return Verdict(faults=tuple(faults), key_id=manifest["key_id"], body=manifest["body"])


def _faults(file: IO[bytes], members: dict[str, Member], manifest: dict[str, Any]) -> Iterator[Fault]:
    wrong = list(_listed(members, manifest["body"]))
    yield from wrong or _Pack(file, members, manifest).faults()


def read_json(text: bytes) -> Any:
    """Read JSON in which no object has a name twice; raises ValueError."""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _manifest(file: IO[bytes], members: dict[str, Member], key: str | None) -> tuple[dict[str, Any], Fault | None]:
    there = members.get(MANIFEST)
    if there is None:
        return {}, Fault(member=MANIFEST, message="It is missing.")
    if there.size > _LARGEST_MANIFEST:
        return {}, Fault(member=MANIFEST, message=f"It is longer than {_LARGEST_MANIFEST:,} bytes.")
    written = content_of(file, there)
    try:
        manifest = read_json(written)
    except (ValueError, RecursionError) as error:
        return {}, Fault(member=MANIFEST, message=f"It is no JSON: {error}")
    message = fault_of_manifest(manifest, written)
    if message is None and key is not None and manifest["key_id"] != key:
        message = f"It is signed with the key {manifest['key_id']}, and not with {key}."
    return ({}, Fault(member=MANIFEST, message=message)) if message is not None else (manifest, None)


def _listed(members: dict[str, Member], body: dict[str, Any]) -> Iterator[Fault]:
    """Compare the members with what the manifest lists."""
    listed: dict[str, tuple[str, int]] = {}
    for one in body["files"]:
        if one["name"] in listed:
            yield Fault(member=one["name"], message="The manifest lists it twice.")
        listed[one["name"]] = (one["sha256"], one["size"])
    for name, member in members.items():
        if name == MANIFEST:
            continue
        if name not in listed:
            yield Fault(
                member=name, message="It was added, or has another name than it had: the manifest has no such file."
            )
        elif listed[name] != (member.sha256, member.size):
            yield Fault(member=name, message="It was altered: it is not what the manifest says.")
    for name in listed.keys() - members.keys():
        yield Fault(member=name, message="It is missing: the manifest lists it.")


class _Pack:
    """A pack whose manifest holds and whose files are those that it lists."""

    def __init__(self, file: IO[bytes], members: dict[str, Member], manifest: dict[str, Any]) -> None:
        self._file = file
        self._members = members
        self._body = manifest["body"]
        self._key_id = manifest["key_id"]
        self._parts = PARTS[manifest["format"]]  # of a sampled request
        self._logged = manifest["format"] >= _LOGGED
        self._inclusions: list[Inclusion] = []
        self._pending: list[dict[str, Any]] = []

    def faults(self) -> Iterator[Fault]:
        """Yield whatever does not fit together."""
        always = _ALWAYS | ({LOG} if self._logged else set())
        missing = sorted(always - self._members.keys())
        if missing:
            yield from (Fault(member=name, message="Every pack has this file; it is missing.") for name in missing)
            return
        known = always | {MANIFEST}
        sample = self._json("sample.json")
        chosen = {one["request_id"]: one["folder"] for one in sample["requests"]}
        sampled, faults = self._population(sample, chosen)
        yield from faults
        exceptions, faults = self._exceptions(chosen)
        yield from faults
        policies, faults = self._policies()
        yield from faults
        used: set[str] = set()
        delivered: Counter[str] = Counter()
        holds = True
        for request_id, folder in chosen.items():
            if request_id not in sampled:
                continue  # sample.json is at fault
            names = {f"{folder}/{name}.ndjson" for name in self._parts}
            lacking = sorted(names - self._members.keys())
            if lacking:
                yield from (Fault(member=name, message="It is missing.") for name in lacking)
                continue
            request = RequestFaults(
                request_id=request_id,
                folder=folder,
                population=sampled[request_id],
                chain=list(self._lines(f"{folder}/chain.ndjson")),
                receipts=list(self._lines(f"{folder}/receipts.ndjson")),
                attachments=list(self._lines(f"{folder}/attachments.ndjson")),
                deliveries=list(self._lines(f"{folder}/deliveries.ndjson")) if "deliveries" in self._parts else None,
                exceptions=exceptions.get(request_id, []),
                policies=policies,
                members=self._members,
                key_id=self._key_id,
                since=self._body["from"],
                until=self._body["until"],
            )
            wrong = list(request.faults())
            yield from wrong
            holds = holds and not wrong
            known |= names | request.files
            used |= request.policies_used
            delivered += request.delivered
            self._inclusions += request.inclusions
            self._pending += request.pending
        if "deliveries" in self._parts and self._body["deliveries"] != counts_of(delivered):
            yield Fault(member=MANIFEST, message="It has other counts of deliveries than the sampled requests.")
        known |= {f"policies/{digest}.json" for digest in used}
        for name in self._members.keys() - known:
            yield Fault(member=name, message="Nothing in the pack refers to this file.")
        keys = self._json("keys.json")
        if not any(one["key_id"] == self._key_id for one in keys):
            yield Fault(member="keys.json", message="The key that signed the manifest is not among these.")
        if self._logged and holds:  # otherwise its receipts have said it
            yield from self._log({one["public_key"] for one in keys})

    def _log(self, keys: set[str]) -> Iterator[Fault]:
        """Compare what the pack says of the log with what its receipts say."""
        stated = self._json(LOG)
        for message in faults_of_log(stated, self._inclusions, self._pending, keys):
            yield Fault(member=LOG, message=message)
        if self._body["log"] != {"included": stated["included"], "pending": len(stated["pending"])}:
            yield Fault(member=MANIFEST, message=f"It has other counts of what is in the log than {LOG}.")

    def _population(
        self, sample: dict[str, Any], chosen: dict[str, str]
    ) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
        """Count the population anew, and draw the sample anew; return the lines of the sampled requests."""
        asked = self._body["sample"]
        sampling = Sampling(asked["seed"], asked["asked"])
        status: Counter[str] = Counter()
        outcome: Counter[str] = Counter()
        requests, decisions, before = 0, 0, ""
        lines: dict[str, dict[str, Any]] = {}
        faults: list[Fault] = []
        since, until = self._body["from"], self._body["until"]
        for line in self._lines("population.ndjson"):
            one = line["request_id"]
            if one <= before:
                faults.append(
                    Fault(member="population.ndjson", message=f"The request {one} is not in order, or twice.")
                )
            ended = line["ended_at"] is not None and since <= line["ended_at"] < until
            if not ended and line["decisions"] < 1:
                faults.append(Fault(member="population.ndjson", message=f"The request {one} is not of the period."))
            before = one
            requests, decisions = requests + 1, decisions + line["decisions"]
            status[line["status"]] += 1
            outcome[line["outcome"] or "none yet"] += 1
            sampling.add(one)
            if one in chosen:
                lines[one] = line
        counted = {"requests": requests, "decisions": decisions, "by_status": status, "by_outcome": outcome}
        if any(self._body["population"][name] != value for name, value in counted.items()):
            faults.append(Fault(member="population.ndjson", message="It has other counts than the manifest says."))
        drawn = {one: f"requests/{n:04}" for n, one in enumerate(sampling.chosen(), 1)}
        same = list(chosen.items()) == list(drawn.items()) and len(sample["requests"]) == len(chosen)
        named = (sample["seed"], sample["asked"], len(drawn)) == (asked["seed"], asked["asked"], asked["requests"])
        if not same or not named:
            faults.append(
                Fault(member="sample.json", message="It is not the sample that this seed draws from this population.")
            )
        return lines, faults

    def _exceptions(self, chosen: dict[str, str]) -> tuple[dict[str, list[dict[str, Any]]], list[Fault]]:
        counts: Counter[str] = Counter()
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self._lines("exceptions.ndjson"):
            counts[line["exception"]] += 1
            if line["request_id"] in chosen:
                found.setdefault(line["request_id"], []).append(line)
        wrong = counts != self._body["exceptions"]
        message = "It has other counts than the manifest says."
        return found, [Fault(member="exceptions.ndjson", message=message)] if wrong else []

    def _policies(self) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
        """Return the versions of the process by their version."""
        found: dict[str, dict[str, Any]] = {}
        faults: list[Fault] = []
        for name in [name for name in self._members if name.startswith("policies/")]:
            policy = self._json(name)
            if name != f"policies/{policy['blueprint_digest']}.json" or not _is_blueprint_of(policy):
                faults.append(Fault(member=name, message="The blueprint is not the one of this digest."))
            if policy["certificate"] is not None and digest_of(policy["certificate"]) != policy["certificate_digest"]:
                faults.append(Fault(member=name, message="The certificate is not the one of its digest."))
            if policy["process"] != self._body["process"]:
                faults.append(Fault(member=name, message="It is of another process."))
            found[policy["version"]] = policy
        return found, faults

    def _json(self, name: str) -> Any:
        return read_json(content_of(self._file, self._members[name]))

    def _lines(self, name: str) -> Iterator[Any]:
        for text in lines_of(self._file, self._members[name], _LONGEST_LINE):
            yield read_json(text)


def _is_blueprint_of(policy: dict[str, Any]) -> bool:
    try:
        definition = parse_definition(policy["blueprint"])
    except PlacetError:
        return False
    found: str = policy["blueprint_digest"]
    return digest(definition) == found and definition.version == policy["version"]
