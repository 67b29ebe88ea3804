"""`placet verify`: verify audit chains against the database and the engine's history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli import bootstrap
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json, progress
from cli.verifying.checkpoint import verify_kept_checkpoint
from cli.verifying.kept import Told
from cli.verifying.receipt import verify_receipt
from cli.verifying.transparency_log import show_log, verify_the_log
from placet.errors import NotFound, Unavailable
from service.evidence.verifying import verify_evidence
from service.slas.verifying import VerifiedSlas, verify_slas
from service.transparency.verifying import VerifiedLog, verify_log
from service.verification import verify_many
from storage.recording import admin_acts
from storage.recording.admin_acts import VerifiedActs
from worker.settings import Settings

_MOST_FAULTS = 50  # that are printed


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
    with errors_as_messages():
        attesters = settings.attesters
    async with bootstrap.open_database(require_installation(settings)) as database:
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"only the database rows are verified: {error.message}")
            client = None
        verified = await verify_many(database, client, requests)
        acts = None if requests else await database.read(admin_acts.verify)
        slas = None if requests else await verify_slas(database, database.now())
        log = None if requests else await database.read(verify_log, database.now(), (), attesters)
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
        show_log(verified.log)


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
                f"The log has {logged['included']} of the decisions in it; {logged['pending']} were under no "
                "checkpoint yet when it was made" + (", see log.json." if logged["pending"] else "."),
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
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A checkpoint that you have kept: against --log, or offline by the keys."
        ),
    ] = None,
    log_key: Annotated[
        str | None, typer.Option(help="The log's verifier key, which a --checkpoint has to be signed with.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(help="The key of a witness that must have cosigned a --checkpoint or the one of a --receipt."),
    ] = None,
    timestamp: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The timestamp (.tsr) of that checkpoint, to verify as well."),
    ] = None,
    timestamp_certificates: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Its authority's certificates (PEM)."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The key_id that the receipt or pack has to be signed with; several after a rotation."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify audit chains against the database and the engine's history. The exit code is 1 if one is broken."""
    keys = key or []
    told = Told(log_key=log_key, witnesses=witness or (), timestamp=timestamp, certificates=timestamp_certificates)
    if checkpoint is not None and not log and not told:
        raise typer.BadParameter(
            "give --log to compare it with the log, or --log-key, --witness or --timestamp to verify it offline",
            param_hint="--checkpoint",
        )
    if told and checkpoint is None and receipt is None:
        raise typer.BadParameter("give the --checkpoint or the --receipt that they are about", param_hint="--log-key")
    if log:
        if told:
            raise typer.BadParameter(
                "with --log, the witnesses and the authority are those of the settings", param_hint="--log"
            )
        verify_the_log(checkpoint, receipt, keys, as_json=as_json)
        return
    if receipt is not None:
        verify_receipt(receipt, keys, told, as_json=as_json)
        return
    if checkpoint is not None:
        verify_kept_checkpoint(checkpoint, told, as_json=as_json)
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
