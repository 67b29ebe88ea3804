"""Witnesses and a timestamp authority over real HTTP: what they sign, what they refuse, and clocks that do not fit."""

from __future__ import annotations

import asyncio
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from placet.audit.receipts import ReceiptKey
from placet.transparency.notes import Note
from placet.transparency.timestamps import read_timestamp, timestamp_query
from service.transparency.attesting import attest
from service.transparency.settings import AttesterSettings, Authority, witnesses_of
from service.transparency.state import LogState, log_state
from service.transparency.verifying import VerifiedLog, verify_log
from storage.database import Database
from storage.queries import log_attestations as stored
from storage.queries import transparency_log as log
from storage.queries.log_attestations import COSIGNATURE, TIMESTAMP
from tests.approvals import SECRET
from tests.attesters import LocalAuthority, LocalWitness, serving
from tests.integration.recordings import Story
from tests.integration.test_transparency_log import forced, grown, rewrite_log, store
from tests.stored import reading, writing
from tests.waiting import PATIENCE, until
from worker.jobs import log_job
from worker.settings import Settings

HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def witness() -> AsyncIterator[LocalWitness]:
    key = ReceiptKey(SECRET)
    found = LocalWitness(logs={f"placet/{key.id}": key.public})
    async with serving(found.answer) as url:
        found.url = url
        yield found


@pytest_asyncio.fixture
async def authority(tmp_path: Path) -> AsyncIterator[LocalAuthority]:
    found = LocalAuthority(tmp_path / "authority")
    async with serving(found.answer) as url:
        found.url = f"{url}/tsr"
        yield found


def settings_of(
    *witnesses: LocalWitness, authority: LocalAuthority | None = None, every: timedelta = timedelta(), **more: Any
) -> AttesterSettings:
    dates = None
    if authority is not None:
        dates = Authority(url=authority.url, certificates=authority.certificates.read_bytes(), every=every)
    written = ", ".join(one.setting for one in witnesses)
    return AttesterSettings(witnesses=witnesses_of(written), authority=dates, **more)


def state(database: Database, at: datetime | None = None) -> LogState:
    with reading(database) as session:
        return log_state(session.connection(), at or now())


def failure(database: Database) -> str:
    (one,) = state(database).attesters
    assert one.state.failure is not None
    return one.state.failure


async def verified(database: Database, settings: AttesterSettings) -> VerifiedLog:
    return await database.read(verify_log, now(), (), settings)


async def begun(database: Database, name: str = "r1", at: datetime | None = None) -> None:
    store(database, Story(request_id=name).open("bob"), at=(at or now()) - HOUR)
    await grown(database, at or now())


async def test_witnesses_cosign_and_an_authority_dates_each_checkpoint_and_all_of_it_is_verified(
    database: Database, witness: LocalWitness, authority: LocalAuthority, tmp_path: Path
) -> None:
    settings = settings_of(witness, authority=authority)
    await attest(database, settings, now)
    assert witness.statuses == [], "there is nothing to sign yet"
    for number in range(5):
        await begun(database, f"r{number}")
        await attest(database, settings, now)
        await attest(database, settings, now)
    assert (witness.statuses, len(authority.asked)) == ([200] * 5, 5), "each checkpoint once, with its proof"
    found = state(database)
    assert [(one.state.kind, one.current, one.tree_size) for one in found.attesters] == [
        (COSIGNATURE, True, 5),
        (TIMESTAMP, True, 5),
    ]
    assert found.dated == 5
    result = await verified(database, settings)
    assert (result["ok"], result["warnings"]) == (True, []), result
    assert [(one["name"], one["known"], one["signed"], one["tree_size"]) for one in result["attesters"]] == [
        (witness.name, True, 5, 5),
        (authority.url, True, 5, 5),
    ]
    unknown = await verified(database, AttesterSettings())
    assert (unknown["ok"], len(unknown["warnings"])) == (True, 2), "their keys are those of the table"
    with reading(database) as session:
        last = log.last_checkpoint(session.connection())
        stamp = stored.timestamp_at(session.connection(), 5)
    assert last is not None
    assert stamp is not None
    (tmp_path / "stamp.tsr").write_bytes(b64decode(stamp.proof))
    (tmp_path / "text").write_text(Note.read(last.note).text)
    # As any other tool reads it.
    command = ["openssl", "ts", "-verify", "-in", "stamp.tsr", "-data", "text", "-CAfile", authority.certificates]
    await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, check=True, capture_output=True)


async def test_processes_that_ask_at_the_same_time_ask_once(database: Database, witness: LocalWitness) -> None:
    await begun(database)
    await attest(database, settings_of(witness), now)
    await begun(database, "r2")
    await asyncio.gather(*(attest(database, settings_of(witness), now) for _ in range(4)))
    assert witness.statuses == [200, 200]


async def test_a_witness_that_has_seen_more_than_is_remembered_here_is_sent_the_proof_that_it_needs(
    sqlite_url: str, witness: LocalWitness
) -> None:
    database = Database(sqlite_url)
    await begun(database)
    await attest(database, settings_of(witness), now)
    await attest(database, AttesterSettings(), now)  # it is taken out of the settings, and forgotten
    await begun(database, "r2")
    await begun(database, "r3")
    await attest(database, settings_of(witness), now)
    assert witness.statuses == [200, 409, 200]
    assert (await verified(database, settings_of(witness)))["ok"]
    await database.close()


async def test_an_operator_who_begins_the_log_anew_is_refused_by_the_witness(
    sqlite_url: str, witness: LocalWitness
) -> None:
    database = Database(sqlite_url)
    settings = settings_of(witness)
    for name in ("r1", "r2"):
        await begun(database, name)
    await attest(database, settings, now)
    before = witness.seen.copy()
    with writing(database) as session:
        session.execute(text("DELETE FROM audit_entry WHERE request_id = 'r1'"))
    await rewrite_log(database, now())
    with writing(database) as session:
        session.execute(text("DELETE FROM log_attester"))
    await attest(database, settings, now)
    assert "has cosigned a tree of 2 leaves of this log, and the log has 1" in failure(database)
    await begun(database, "r3")
    await attest(database, settings, lambda: now() + HOUR)
    assert "it has seen another log under this name" in failure(database), "of the same size, with another root"
    await begun(database, "r4")
    await attest(database, settings, lambda: now() + 3 * HOUR)
    assert "it has seen another log under this name" in failure(database), "and one that goes on from there"
    assert witness.seen == before
    await database.close()


def told(status: int, body: bytes = b"", kind: str = "text/plain") -> Callable[[str, bytes], object]:
    return lambda _path, _body: (status, kind, body)


async def stalls(_path: str, _body: bytes) -> object:
    return await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("answer", "finds"),
    [
        (told(404), "does not know this log"),
        (told(403), "does not know the key of this log"),
        (told(500, b"out\x1b of order"), "did not sign (status 500, 'out  of order')"),
        (told(302), "did not sign (status 302"),  # a redirect is not followed
        (told(200), "its answer is no cosignature"),
        (told(200, b"\xff\xff"), "its answer is no cosignature"),
        (told(200, b"x" * 200_000), "longer than"),
        (told(200, LocalWitness(name="other").line("a\n1\nb\n")), "no cosignature by the key"),
        (told(409, b"1\n"), "does not say how many leaves"),
        (told(409, b"01\n", "text/x.tlog.size"), "does not say how many leaves"),
        (told(409, b"9" * 18 + b"\n", "text/x.tlog.size"), "has cosigned a tree of 999"),
        (told(409, b"0\n", "text/x.tlog.size"), "(status 409"),
        (stalls, "did not answer within 3 s"),
    ],
)
async def test_an_answer_that_is_no_cosignature_is_on_record_with_its_reason_and_holds_up_nobody(
    sqlite_url: str, witness: LocalWitness, answer: Any, finds: str
) -> None:
    database = Database(sqlite_url)
    bad = LocalWitness(name="bad.example/w", logs=witness.logs, instead=answer)
    async with serving(bad.answer) as bad.url:
        # On a busy machine the other witness, which answers, needs time as well.
        settings = settings_of(bad, witness, seconds=3 if answer is stalls else PATIENCE)
        await begun(database)
        await attest(database, settings, now)
        first, other = state(database).attesters
        assert first.state.failure is not None
        assert finds in first.state.failure
        assert (first.state.failures, first.signed, other.current) == (1, None, True)
        asked = len(bad.statuses)
        await attest(database, settings, now)
        assert len(bad.statuses) == asked, "not before 15 seconds"
        bad.instead = None
        await attest(database, settings, lambda: now() + timedelta(seconds=20))
        first, _ = state(database).attesters
        assert (first.state.failure, first.state.failures, first.current) == (None, 0, True)
    await database.close()


async def test_a_witness_whose_server_is_away_is_asked_less_and_less(sqlite_url: str, witness: LocalWitness) -> None:
    database = Database(sqlite_url)
    away = LocalWitness(url="http://127.0.0.1:9")
    await begun(database)
    at, pauses = now(), []
    for _ in range(12):
        await attest(database, settings_of(away), lambda: at)  # noqa: B023 - called at once
        (one,) = state(database).attesters
        pauses.append((one.state.next_at - at).total_seconds())
        at = one.state.next_at
    assert pauses == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    await database.close()


async def test_a_clock_that_was_ahead_for_a_while_keeps_nobody_from_being_asked(
    sqlite_url: str, witness: LocalWitness, authority: LocalAuthority
) -> None:
    database = Database(sqlite_url)
    settings = settings_of(witness, authority=authority, every=HOUR)
    await begun(database)
    await attest(database, settings, lambda: now() + timedelta(days=400))
    await begun(database, "r2")
    await attest(database, settings, now)
    assert [one.current for one in state(database).attesters] == [True, True]
    await begun(database, "r3")
    await attest(database, settings, now)
    assert [one.current for one in state(database).attesters] == [True, False], "an authority dates one each hour"
    await database.close()


@pytest.mark.parametrize(
    ("away", "finds"),
    [
        (
            timedelta(days=1),
            "by the clock here it was made later",
        ),  # the clock here was ahead, or the authority's behind
        (timedelta(days=-1), "by the clock here that was stored before"),
    ],
)
async def test_a_clock_that_jumped_between_a_checkpoint_and_its_signatures_is_told_with_the_moments(
    sqlite_url: str, witness: LocalWitness, authority: LocalAuthority, away: timedelta, finds: str
) -> None:
    database = Database(sqlite_url)
    settings = settings_of(witness, authority=authority)
    await begun(database, at=now() + away)
    await attest(database, settings, lambda: now() + away)
    found = await verified(database, settings)
    told_of = [one for one in found["warnings"] if finds in one]
    assert (found["ok"], len(told_of)) == (True, 2), found
    assert all("a clock jumped" in one and "checkpoint 1" in one for one in told_of)
    await database.close()


async def test_what_is_edited_of_what_others_have_signed_is_found(
    database: Database, witness: LocalWitness, authority: LocalAuthority
) -> None:
    settings = settings_of(witness, authority=authority)
    await begun(database)
    await attest(database, settings, now)
    for act in ("UPDATE log_attestation SET checkpoint = 2", "DELETE FROM log_attestation"):
        with pytest.raises(DBAPIError, match="only added"), writing(database) as session:
            session.execute(text(act))
    for edit, finds in (
        ("UPDATE log_attestation SET proof = replace(proof, 'A', 'B')", "is not so"),
        ("UPDATE log_attestation SET checkpoint = 7", "which is gone"),
        ("UPDATE log_attestation SET at = stored_at", "was edited"),
    ):
        with writing(database) as session:
            forced(session.connection())
            session.execute(text(edit))
            faults = verify_log(session.connection(), now(), (), settings)["faults"]
            session.rollback()
        assert [finds in one for one in faults] == [True, True], (edit, faults)


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalAuthority, bytes, int | None]:
    found = LocalAuthority(tmp_path_factory.mktemp("authority"))
    query = timestamp_query("what is dated\n")
    return found, found.stamp(query.as_bytes()), query.nonce


def test_a_timestamp_of_another_text_authority_or_query_is_refused(
    stamped: tuple[LocalAuthority, bytes, int | None], tmp_path: Path
) -> None:
    authority, answer, nonce = stamped
    trusted = authority.certificates.read_bytes()
    found = read_timestamp(answer, "what is dated\n", trusted, nonce=nonce)
    assert abs(found.at - now()) < timedelta(minutes=10)
    assert found.authority == "CN=Time of the tests"
    other = LocalAuthority(tmp_path, "Time of the tests")  # the same names, and its own root in its answer
    query = timestamp_query("what is dated\n")
    refusal = other.stamp(b"no query at all")
    for wrong, about, certificates, number, finds in (
        (answer, "something else\n", trusted, nonce, "Mismatch between messages"),
        (answer, "what is dated\n", trusted, 1, "Nonce mismatch"),  # an answer of before, sent again
        (answer, "what is dated\n", other.certificates.read_bytes(), nonce, "no trusted certificate leads"),
        (other.stamp(query.as_bytes()), "what is dated\n", trusted, query.nonce, "no trusted certificate leads"),
        (refusal, "what is dated\n", trusted, nonce, "did not grant it"),
        (b"", "what is dated\n", trusted, nonce, "does not hold"),
        (answer * 100, "what is dated\n", trusted, nonce, "longer than"),
        (answer, "what is dated\n", b"no certificates", nonce, "PEM"),
        (answer, "what is dated\n", (authority.folder / "signer.pem").read_bytes(), nonce, "that of a root"),
    ):
        with pytest.raises(ValueError, match=finds):
            read_timestamp(wrong, about, certificates, nonce=number)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_timestamp_with_a_bit_changed_is_refused_or_says_the_same(
    stamped: tuple[LocalAuthority, bytes, int | None],
) -> None:
    authority, answer, nonce = stamped
    trusted = authority.certificates.read_bytes()
    true = read_timestamp(answer, "what is dated\n", trusted, nonce=nonce)
    for at in range(0, len(answer), 3):
        changed = bytearray(answer)
        changed[at] ^= 1 << at % 8
        try:
            found = read_timestamp(bytes(changed), "what is dated\n", trusted, nonce=nonce)
        except ValueError:
            continue
        assert found == true, at  # such as a byte of what nobody signs


async def test_the_job_of_a_worker_has_its_checkpoints_signed(
    sqlite_url: str, witness: LocalWitness, authority: LocalAuthority, tmp_path: Path
) -> None:
    database = Database(sqlite_url)
    store(database, Story(request_id="r1").open("bob"), at=now() - HOUR)
    settings = Settings(
        home=tmp_path,
        secret_key=SECRET,
        log_seconds=1,
        log_witnesses=witness.setting,
        log_timestamp_url=authority.url,
        log_timestamp_certificates=authority.certificates,
    )
    async with log_job(database, settings):

        async def signed() -> bool:
            found = state(database).attesters
            return len(found) == 2 and all(one.current for one in found)

        await until(signed, what="two signatures of the checkpoint")
    assert (await verified(database, settings.attesters))["ok"]
    await database.close()
