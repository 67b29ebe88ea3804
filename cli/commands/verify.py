"""`placet verify`: verify audit chains against the database and the engine's history."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli import bootstrap
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json, progress
from placet.audit.receipts import fault_of, key_id
from placet.errors import InputInvalid, NotFound, Unavailable
from placet.transparency.leaves import Leaf
from placet.transparency.notes import LONGEST
from service.evidence.verifying import verify_evidence
from service.slas.verifying import VerifiedSlas, verify_slas
from service.transparency.verifying import Kept, VerifiedLog, verify_log
from service.verification import verify_many
from storage.recording import admin_acts
from storage.recording.admin_acts import VerifiedActs
from worker.settings import Settings

_MOST_FAULTS = 50  # that are printed
_LONGEST_RECEIPT = 1_000_000  # bytes; a comment is the longest part of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The findings about requests, the ids that do not exist, the chain of administrative acts, SLAs, and the log.

    The latter three are looked at where all requests are.
    """

    requests: list[dict[str, Any]]
    unknown: list[str]
    acts: VerifiedActs | None
    slas: VerifiedSlas | None
    log: VerifiedLog | None

    @property
    def ok(self) -> bool:
        """Whether every chain holds."""
        return all(found["ok"] for found in (*self.requests, self.acts, self.slas, self.log) if found is not None)


async def verify(settings: Settings, requests: list[str]) -> Verified:
    """Verify these requests, or all of them. Without an engine, verify only the database rows and say so."""
    there = bootstrap.engine_settings(settings)
    async with bootstrap.open_database(require_installation(settings)) as database:
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"only the database rows are verified: {error.message}")
            client = None
        verified = await verify_many(database, client, requests)
        acts = None if requests else await database.read(admin_acts.verify)
        slas = None if requests else await verify_slas(database, datetime.now(UTC))
        log = None if requests else await database.read(verify_log, datetime.now(UTC))
    results = [
        {"id": request_id, **found["rows"], "ok": found["ok"], "engine_head": found["engine_head"]}
        for request_id, found in verified.found
    ]
    return Verified(requests=results, unknown=list(verified.unknown), acts=acts, slas=slas, log=log)


def show(verified: Verified) -> None:
    """Print one line for each request, and one for the administrative acts."""
    results, acts = verified.requests, verified.acts
    table = Table(box=None)
    for name in ("request", "holds", "entries", "first bad", "head"):
        table.add_column(name)
    for r in results:
        holds = "[green]yes[/green]" if r["ok"] else "[red]NO[/red]"
        table.add_row(r["id"], holds, str(r["entries"]), str(r["first_bad_seq"] or ""), (r["head"] or "")[:16])
    out.print(table)
    for r in results:
        for why in _why(r):
            out.print(f"{r['id']}: {why}", markup=False, soft_wrap=True)
    if acts is None:
        return
    if acts["ok"]:
        said = f"the chain of {acts['acts']} holds, up to {acts['head']}" if acts["acts"] else "there are none yet"
    else:
        said = f"act {acts['first_bad_seq']} was changed after it was recorded, or does not follow the act before it"
    out.print(f"Administrative acts: {said}", markup=False, soft_wrap=True)
    if (slas := verified.slas) is not None:
        said = f"{slas['executions']} executions and {slas['breaches']} breaches are as the entries tell them"
        for line in slas["faults"] or [said]:
            out.print(f"SLAs: {line}", markup=False, soft_wrap=True)
    if verified.log is not None:
        _show_log(verified.log)


def _show_log(found: VerifiedLog) -> None:
    """Print what there is to say of the transparency log."""
    if found["ok"]:
        holds = f"{found['leaves']} leaves under {found['checkpoints']} checkpoints hold"
        lines = [f"{holds}, with the root {found['root']}" if found["checkpoints"] else "there is no checkpoint yet"]
    else:
        lines = found["faults"]
    for line in [*lines, *(f"look at this: {warning}" for warning in found["warnings"])]:
        out.print(f"Log: {line}", markup=False, soft_wrap=True)


def _why(result: dict[str, Any]) -> list[str]:
    """Describe the faults of one request's audit chain in words."""
    found = []
    if result["first_bad_seq"] is not None:
        found.append(
            f"entry {result['first_bad_seq']} was changed after it was recorded, or does not follow the entry before it"
        )
    if result["first_bad_delivery"] is not None:
        found.append(f"delivery {result['first_bad_delivery']} is not as it was recorded")
    found += [f"{what} is not as the entries tell it" for what in result["differs"]]
    if result["engine_head"] not in {None, result["head"]}:
        found.append(f"its last entry has the hash {result['head']}, and the engine's history {result['engine_head']}")
    return found


def _read_receipt(file: Path, keys: Sequence[str]) -> tuple[Any, str | None]:
    """Return a receipt, and what is wrong with it; None where nothing is."""
    if file.stat().st_size > _LONGEST_RECEIPT:
        return None, f"The file is longer than {_LONGEST_RECEIPT:,} bytes, so it is no receipt."
    try:
        read = json.loads(file.read_bytes(), object_pairs_hook=_once)
        fault = fault_of(read)
    except (ValueError, RecursionError) as error:
        return None, f"It is no JSON: {error}"
    if fault is not None or not keys:
        return read, fault
    used = {read["key_id"]: "It"}
    if read["inclusion"] is not None:
        used.setdefault(key_id(b64decode(read["inclusion"]["public_key"])), "Its checkpoint")
    wrong = next((f"{what} is signed with the key {one}" for one, what in used.items() if one not in keys), None)
    return read, wrong and f"{wrong}, and not with {' or '.join(keys)}."


def _verify_receipt(file: Path, keys: Sequence[str], *, as_json: bool) -> None:
    """Say whether a receipt holds; the exit code is 1 where it does not."""
    read, fault = _read_receipt(file, keys)
    signed_with = read["key_id"] if fault is None else None
    inclusion = read["inclusion"] if fault is None else None
    if as_json:
        print_json({"ok": fault is None, "key_id": signed_with, "why": fault, "inclusion": inclusion})
    elif fault is None:
        out.print(f"The receipt holds. It is signed with the key {signed_with}.", soft_wrap=True)
        if inclusion is None:
            out.print("It does not say where in the log its entry is; read it again a minute later.", soft_wrap=True)
        else:
            where = f"leaf {inclusion['index']} of {inclusion['tree_size']}"
            out.print(
                f"Its entry is {where} of the log {inclusion['checkpoint'].splitlines()[0]}. Keep the receipt: with "
                "`placet verify --log --receipt FILE` it finds out whoever rewrites that.",
                markup=False,
                soft_wrap=True,
            )
        if not keys:
            out.print(
                "Compare that with what `GET /api/v1/workflow/receipt-keys/` lists, or give --key.", soft_wrap=True
            )
    if fault is not None:
        if not as_json:
            out.print(f"The receipt does not hold: {fault}", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_FAILED)


def _verify_log(checkpoint: Path | None, receipt: Path | None, keys: Sequence[str], *, as_json: bool) -> None:
    """Verify the log against its rows and what somebody has kept; the exit code is 1 where it does not hold."""
    kept: list[Kept] = []
    with errors_as_messages():
        if checkpoint is not None:
            kept.append(Kept(name=checkpoint.name, note=_read_note(checkpoint)))
        if receipt is not None:
            kept.append(_kept_receipt(receipt, keys))
    found = run(_verified_log(settings_with(), kept))
    if as_json:
        print_json(dict(found))
    else:
        _show_log(found)
    if not found["ok"]:
        raise typer.Exit(EXIT_FAILED)


async def _verified_log(settings: Settings, kept: Sequence[Kept]) -> VerifiedLog:
    async with bootstrap.open_database(require_installation(settings)) as database:
        return await database.read(verify_log, datetime.now(UTC), kept)


def _read_note(file: Path) -> str:
    with file.open("rb") as opened:
        raw = opened.read(LONGEST + 1)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InputInvalid(f"{file} is no checkpoint: it is not UTF-8.") from None


def _kept_receipt(file: Path, keys: Sequence[str]) -> Kept:
    """Return what a receipt holds against the log; raises InputInvalid for one that does not hold in itself."""
    read, fault = _read_receipt(file, keys)
    if fault is not None:
        raise InputInvalid(f"The receipt {file} does not hold: {fault}")
    body, inclusion = read["body"], read["inclusion"] or {}
    try:
        leaf = Leaf(chain=body["request_id"], seq=body["seq"], head=body["entry_hash"])
    except (KeyError, ValueError) as error:
        raise InputInvalid(f"The receipt {file} names no entry: {error}") from None
    return Kept(name=file.name, note=inclusion.get("checkpoint"), leaf=leaf, index=inclusion.get("index"))


def _verify_evidence(path: Path, keys: Sequence[str], *, as_json: bool) -> None:
    """Say whether a pack holds, and each member that does not; the exit code is 1 where it does not."""
    if len(keys) > 1:
        raise typer.BadParameter("an evidence pack is signed with one key", param_hint="--key")
    key = keys[0] if keys else None
    with path.open("rb") as file:
        verdict = verify_evidence(file, key)
    if as_json:
        faults = [{"member": fault.member, "why": fault.message} for fault in verdict.faults]
        print_json({"ok": not faults, "key_id": verdict.key_id, "faults": faults})
    elif not verdict.faults and verdict.body is not None:
        body = verdict.body
        out.print(
            f"The evidence holds: {body['process']} from {body['from']} until {body['until']}, "
            f"{body['population']['requests']} requests, {body['sample']['requests']} of them sampled "
            f"with the seed {body['sample']['seed']!r}. It is signed with the key {verdict.key_id}.",
            markup=False,
            soft_wrap=True,
        )
        if (logged := body.get("log")) is not None:
            out.print(
                f"The log has {logged['included']} of the decisions in it; {logged['pending']} were under no checkpoint "
                "yet when it was made" + (", see log.json." if logged["pending"] else "."),
                markup=False,
                soft_wrap=True,
            )
        if key is None:
            out.print("Ask the installation for its key by another way, and give it as --key.", soft_wrap=True)
    if verdict.faults:
        if not as_json:
            out.print("The evidence does not hold:")
            for fault in verdict.faults[:_MOST_FAULTS]:
                out.print(str(fault), markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_FAILED)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def verify_command(
    requests: Annotated[
        list[str] | None, typer.Argument(help="Ids of requests; without them, all requests are verified.")
    ] = None,
    *,
    receipt: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A receipt to verify instead; it needs no database and no network."
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An evidence pack to verify instead, offline as a receipt."),
    ] = None,
    log: Annotated[
        bool,
        typer.Option("--log", help="Verify the transparency log alone, against --checkpoint or --receipt."),
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="With --log: a checkpoint that you have kept.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The key_id that the receipt or pack has to be signed with; several after a rotation."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify audit chains against the database and the engine's history. The exit code is 1 if one is broken."""
    keys = key or []
    if checkpoint is not None and not log:
        raise typer.BadParameter("give --log with it: a checkpoint is compared with the log", param_hint="--checkpoint")
    if log:
        _verify_log(checkpoint, receipt, keys, as_json=as_json)
        return
    if receipt is not None:
        _verify_receipt(receipt, keys, as_json=as_json)
        return
    if evidence is not None:
        _verify_evidence(evidence, keys, as_json=as_json)
        return
    verified = run(verify(settings_with(), requests or []))
    unknown = verified.unknown
    if as_json:
        print_json(
            {
                "ok": verified.ok and not unknown,
                "requests": verified.requests,
                "unknown": unknown,
                # Looked at where all is verified, not where requests are named.
                **({} if verified.acts is None else {"admin_acts": verified.acts}),
                **({} if verified.slas is None else {"slas": verified.slas}),
                **({} if verified.log is None else {"log": verified.log}),
            }
        )
    else:
        show(verified)
    if not verified.ok:
        raise typer.Exit(EXIT_FAILED)
    with errors_as_messages():
        if unknown:
            raise NotFound(f"There is no request {', '.join(unknown)} here; `GET /workflow/requests/` lists them.")
