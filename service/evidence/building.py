"""Make a pack: population, exceptions, sample and policies out of one snapshot, then the files, then the manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from tempfile import TemporaryFile
from typing import IO, Any, Final

from sqlalchemy import Connection

from placet.audit.chain import Entry, moment
from placet.audit.evidence import POPULATION_RULE, READ, SAMPLE_RULE, Sampling, exceptions_of, signed_manifest
from placet.audit.receipts import ReceiptKey
from placet.errors import Conflict, InputInvalid, NotFound, Problem, placed
from placet.sentences import joined, sentence
from service.attachments.store import FileStore
from service.evidence.archive import MANIFEST, ArchiveWriter
from service.evidence.deliveries import counted, counts_of, deliveries_of
from service.evidence.inclusions import MEMBER as LOG
from service.evidence.inclusions import Inclusions
from service.evidence.words import READ_ME
from service.receipts import body_of, digest_of
from service.transparency.proofs import inclusion_of
from storage.database import Database
from storage.queries import receipt_keys
from storage.queries.definitions import definitions
from storage.queries.evidence.population import PopulationRow, chain_of, entries_of_kinds, population
from storage.queries.requests import requests, timelines
from storage.queries.requests.attachments import KIND, attachment_in

MOST_SAMPLED: Final = 1000
LONGEST_SEED: Final = 100  # characters
_CHUNK = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What evidence is asked for: a process, a period from `since` until before `until`, and a sample by a seed."""

    process: str
    since: datetime
    until: datetime
    sample: int
    seed: str
    files: bool = False

    def check(self) -> None:
        """Raise InputInvalid that names each field that is wrong."""
        wrong: list[Problem] = []
        moments = {"/from": self.since, "/until": self.until}
        zone = "give the moment with its time zone"
        wrong += [Problem(pointer=place, message=zone) for place, at in moments.items() if at.tzinfo is None]
        if not wrong and self.until <= self.since:
            wrong.append(Problem(pointer="/until", message="give a moment after the beginning of the period"))
        if not 0 <= self.sample <= MOST_SAMPLED:
            wrong.append(
                Problem(
                    pointer="/sample",
                    message=sentence("sample 0 to {most_sampled:,} requests", most_sampled=MOST_SAMPLED),
                )
            )
        if not 1 <= len(self.seed) <= LONGEST_SEED or not self.seed.isprintable():
            wrong.append(
                Problem(
                    pointer="/seed",
                    message=sentence(
                        "give a seed of 1 to {longest_seed} printable characters", longest_seed=LONGEST_SEED
                    ),
                )
            )
        if wrong:
            raise InputInvalid(joined("; ", [placed(one) for one in wrong]), problems=tuple(wrong))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made: how many requests the period had, were sampled, and exceptions there are."""

    population: int
    sampled: int
    exceptions: int
    size: int
    sha256: str
    key_id: str


@dataclass(slots=True)
class _Counts:
    """What the manifest says of the population, counted as it is written."""

    requests: int = 0
    decisions: int = 0
    status: Counter[str] = field(default_factory=Counter)
    outcome: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)  # of the sample
    inclusions: Inclusions = field(default_factory=Inclusions)  # of the sample's receipts

    def add(self, row: PopulationRow) -> None:
        self.requests += 1
        self.decisions += row.decided
        self.status[row.status] += 1
        self.outcome[row.outcome or "none yet"] += 1


async def build(
    database: Database,
    files: FileStore | None,
    key: ReceiptKey,
    order: Order,
    file: IO[bytes],
    *,
    by: str,
    now: datetime,
) -> Made:
    """Write a pack into a file. `files` is the store of attachments; None where it is not at hand.

    Raises NotFound where there is no such process, TooLarge, and Unavailable.
    """
    with ArchiveWriter(file) as archive:
        counts, sampled = await database.read(_write, archive, key, order)
        for n, (request_id, attached) in enumerate(sampled, 1):
            await _write_files(archive, files if order.files else None, folder_of(n), request_id, attached)
        body = {
            "process": order.process,
            "from": moment(order.since),
            "until": moment(order.until),
            "made_at": moment(now),
            "made_by": by,
            "with_files": order.files,
            "population": {
                "rule": POPULATION_RULE,
                "requests": counts.requests,
                "decisions": counts.decisions,
                "by_status": dict(sorted(counts.status.items())),
                "by_outcome": dict(sorted(counts.outcome.items())),
            },
            "sample": {"rule": SAMPLE_RULE, "seed": order.seed, "asked": order.sample, "requests": len(sampled)},
            "exceptions": dict(sorted(counts.exceptions.items())),
            "deliveries": counts_of(counts.deliveries),
            "log": {"included": counts.inclusions.included, "pending": len(counts.inclusions.pending)},
            "files": [{"name": one.name, "sha256": one.sha256, "size": one.size} for one in archive.members],
        }
        with archive.member(MANIFEST) as out:
            out.write(signed_manifest(key, body))
    return Made(
        population=counts.requests,
        sampled=len(sampled),
        exceptions=counts.exceptions.total(),
        size=file.seek(0, 2),
        sha256=await asyncio.to_thread(_digest, file),
        key_id=key.id,
    )


def folder_of(n: int) -> str:
    """Return the folder of the n-th request of a sample, from 1."""
    return f"requests/{n:04}"


def line(value: Any) -> bytes:
    """Write a JSON value as one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write(
    connection: Connection, archive: ArchiveWriter, key: ReceiptKey, order: Order
) -> tuple[_Counts, list[tuple[str, list[dict[str, Any]]]]]:
    """Write all that is in the database, as it is at one moment; return the counts, and the sample's attachments."""
    if not definitions.released(connection, order.process):
        raise NotFound(sentence("There is no published process {process!r}.", process=order.process))
    with archive.member("README.md") as out:
        out.write(READ_ME.encode())
    counts, sampling = _Counts(), Sampling(order.seed, order.sample)
    with TemporaryFile() as aside:
        with archive.member("population.ndjson") as out:
            for batch in population(connection, order.process, order.since, order.until):
                for row in batch:
                    counts.add(row)
                    sampling.add(row.id)
                    out.write(line(_population_line(row)))
                for one in _exceptions(connection, batch):
                    counts.exceptions[one["exception"]] += 1
                    aside.write(line(one))
        aside.seek(0)
        with archive.member("exceptions.ndjson") as out:
            while piece := aside.read(_CHUNK):
                out.write(piece)
    chosen = sampling.chosen()
    with archive.member("sample.json") as out:
        listed = [{"folder": folder_of(n), "request_id": one} for n, one in enumerate(chosen, 1)]
        out.write(line({"seed": order.seed, "asked": order.sample, "requests": listed}))
    versions: set[str] = set()
    sampled = []
    for n, request_id in enumerate(chosen, 1):
        chain = chain_of(connection, request_id)
        counts.deliveries += _write_deliveries(connection, archive, folder_of(n), request_id)
        versions |= _write_request(connection, archive, folder_of(n), request_id, chain)
        with archive.member(f"{folder_of(n)}/receipts.ndjson") as out:
            for receipt in _receipts(connection, key, request_id):
                counts.inclusions.add(receipt)
                out.write(line(receipt))
        sampled.append((request_id, [attachment_line(entry) for entry in chain if entry.kind == KIND]))
    with archive.member(LOG) as out:
        out.write(line(counts.inclusions.document(connection)))
    _write_policies(connection, archive, order.process, versions)
    with archive.member("keys.json") as out:
        keys = receipt_keys.listed(connection)
        out.write(
            line([{"key_id": k.id, "public_key": b64encode(k.key).decode(), "since": moment(k.since)} for k in keys])
        )
    return counts, sampled


def _population_line(row: PopulationRow) -> dict[str, Any]:
    return {
        "request_id": row.id,
        "version": row.version,
        "status": row.status,
        "outcome": row.outcome,
        "requester": f"user:{row.requester}",
        "owner": _named(row.owner),
        "started_at": moment(row.started_at),
        "ended_at": None if row.ended_at is None else moment(row.ended_at),
        "decisions": row.decided,
        "entries": row.seq,
        "head": row.head,
        "content_erased": row.erased_at is not None,
    }


def _named(owner: str | None) -> str | None:
    """Return an owner as chains name people: `user:…`, a role or a group."""
    return owner if owner is None or ":" in owner else f"user:{owner}"


def _exceptions(connection: Connection, batch: Sequence[PopulationRow]) -> Iterable[dict[str, Any]]:
    owners = {row.id: _named(row.owner) for row in batch}
    found = entries_of_kinds(connection, list(owners), READ)
    for request_id, entries in groupby(found, key=itemgetter(0)):
        for one in exceptions_of((entry for _, entry in entries), owners[request_id]):
            yield {"request_id": request_id, **one}


def entry_line(entry: Entry) -> dict[str, Any]:
    """Return an entry as the pack has it: with what its hash is computed from."""
    return {
        "seq": entry.seq,
        "at": moment(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "stage": entry.stage,
        "task_id": entry.task_id,
        "detail": entry.detail,
        "salts": entry.salts,
        "hash": entry.hash,
    }


def _write_request(
    connection: Connection, archive: ArchiveWriter, folder: str, request_id: str, chain: Sequence[Entry]
) -> set[str]:
    """Write the chain of a request; return the versions of its process that it followed."""
    with archive.member(f"{folder}/chain.ndjson") as out:
        for entry in chain:
            out.write(line(entry_line(entry)))
    return versions_of(chain) or {requests.read(connection, request_id).request.version}


def _receipts(connection: Connection, key: ReceiptKey, request_id: str) -> Iterator[dict[str, Any]]:
    """Yield the receipts of a request's decisions, with where the log has them."""
    stored = requests.read(connection, request_id)
    rows = timelines.of_request(connection, request_id)
    for task in stored.tasks:
        if task.decision is not None and task.undo_until is None:
            with suppress(Conflict):  # its chain was edited, which is what an auditor has to see
                body = body_of(connection, stored.request, task, rows)
                yield {**key.sign(body), "inclusion": inclusion_of(connection, body)}


def _write_deliveries(connection: Connection, archive: ArchiveWriter, folder: str, request_id: str) -> Counter[str]:
    """Write to whom notices of a request were sent, and when; return how many were sent, and how many were not."""
    found = deliveries_of(connection, request_id)
    with archive.member(f"{folder}/deliveries.ndjson") as out:
        for one in found:
            out.write(line(entry_line(one)))
    return counted(found)


def versions_of(chain: Iterable[Entry]) -> set[str]:
    """Return the versions of its process that a request followed, by its chain."""
    found: set[str] = set()
    for entry in chain:
        if entry.kind == "started":
            found.add(str(entry.detail.get("version")))
        elif entry.kind == "migrated":
            after = entry.detail.get("after")
            found.add(str(after.get("version")) if isinstance(after, dict) else "None")
    return found - {"None"}


def _write_policies(connection: Connection, archive: ArchiveWriter, process: str, versions: Iterable[str]) -> None:
    for version in sorted(versions):
        row = definitions.find(connection, process, version)
        with archive.member(f"policies/{row.digest}.json") as out:
            out.write(
                line(
                    {
                        "process": row.name,
                        "version": row.version,
                        "blueprint_digest": row.digest,
                        "blueprint": row.blueprint,
                        "certificate_digest": None if row.certificate is None else digest_of(row.certificate),
                        "certificate": row.certificate,
                        "written_by": f"user:{row.created_by}",
                        "published_by": None if row.published_by is None else f"user:{row.published_by}",
                        "published_at": None if row.published_at is None else moment(row.published_at),
                    }
                )
            )


def attachment_line(entry: Entry) -> dict[str, Any]:
    """Return an attachment as the pack has it, by the entry of the chain; null what was erased or edited."""
    found = attachment_in(entry.detail, entry.actor, entry.at)
    return {
        "seq": entry.seq,
        "n": entry.detail.get("n"),
        "name": None if found is None else found.name,
        "media_type": entry.detail.get("media_type"),
        "size": entry.detail.get("size"),
        "sha256": None if found is None else found.sha256,
    }


async def _write_files(
    archive: ArchiveWriter, files: FileStore | None, folder: str, request_id: str, attached: Sequence[dict[str, Any]]
) -> None:
    """Write the list of a request's attachments, and the files where they are asked for and there."""
    written: set[str] = set()
    lines = []
    for one in attached:
        sha256, name = one["sha256"], None
        if files is not None and sha256 is not None:
            name = f"{folder}/files/{sha256}"
            if sha256 not in written and not await _copied(archive, files, request_id, name, one):
                name = None
            else:
                written.add(sha256)
        lines.append(line({**one, "file": name}))
    with archive.member(f"{folder}/attachments.ndjson") as out:
        out.write(b"".join(lines))


async def _copied(archive: ArchiveWriter, files: FileStore, request_id: str, name: str, one: dict[str, Any]) -> bool:
    """Copy a file into the archive; False where the store does not have it whole."""
    if not await files.holds(request_id, one["sha256"], one["size"]):
        return False
    with archive.member(name) as out:
        async for piece in await files.get(request_id, one["sha256"]):
            await asyncio.to_thread(out.write, piece)
    return True


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file will do
