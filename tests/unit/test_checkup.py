"""The checks of `placet doctor` that need neither database nor engine, and where each sends its reader."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.checkup import engine as engine_checks
from cli.checkup import machine, stored
from cli.checkup.check import Bad, Finding, Look, Unseen, checked
from cli.checkup.mail import mail
from cli.commands import doctor
from cli.private_files import keep_private, shared_with_others
from engine_host.config import Ports, free_ports
from placet.errors import InputInvalid, Unavailable
from service.administration.certificates import Certificate, certificates_of
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def pem(ends: datetime) -> bytes:
    """Make a certificate that ends at a moment."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, ends - timedelta(days=400), ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def look(name: str, finding: Finding | Exception) -> Look:
    """Make a look that finds this."""

    async def see() -> Finding:
        if isinstance(finding, Exception):
            raise finding
        return finding

    return Look(name=name, docs="docs/operations.md", remedy="Repair it.", see=see)


async def test_a_failed_check_says_what_to_do_and_where_to_read_about_it() -> None:
    found = await look("a", Bad(found="broken")).check()
    assert (found.status, found.remedy, found.docs) == ("failed", "Repair it.", "docs/operations.md")
    own = await look("a", Bad(found="broken", remedy="Otherwise.")).check()
    assert own.remedy == "Otherwise."


@pytest.mark.parametrize(
    ("finding", "status"),
    [
        ("well", "ok"),
        (Unseen(why="not from here"), "skipped"),
        (Unavailable("it is away"), "failed"),
        (PermissionError(13, "Permission denied", "/there"), "failed"),
    ],
)
async def test_errors_of_a_look_are_faults_and_what_cannot_be_told_is_none(
    finding: Finding | Exception, status: str
) -> None:
    found = await look("a", finding).check()
    assert found.status == status
    assert found.ok is (status != "failed")
    assert (found.remedy is None) is (status != "failed")


async def test_what_needs_something_that_is_away_is_not_looked_at() -> None:
    found = await checked([look("first", Bad(found="away")), look("second", RuntimeError("must not run"))])
    assert [(one.name, one.status) for one in found] == [("first", "failed"), ("second", "skipped")]
    assert "first" in found[1].found


async def test_the_json_document_has_the_form_that_scripts_know() -> None:
    checks = [await look("a", "well").check(), await look("b", Bad(found="broken")).check()]
    assert doctor.document(checks) == {
        "format": 2,
        "ok": False,
        "checks": {
            "a": {"ok": True, "status": "ok", "found": "well", "remedy": None, "docs": None},
            "b": {
                "ok": False,
                "status": "failed",
                "found": "broken",
                "remedy": "Repair it.",
                "docs": "docs/operations.md",
            },
        },
    }


def test_every_check_names_a_section_that_there_is(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    looks = [
        *doctor.machine_looks(settings),
        *doctor.stored_looks(stored.Stored(settings)),
        *doctor.engine_looks(engine_checks.Engine(settings, None)),
        *doctor.other_looks(settings),
    ]
    assert len({each.name for each in looks}) == len(looks)
    for each in looks:
        page, _, anchor = each.docs.partition("#")
        text = (ROOT / page).read_text()
        anchors = {
            re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert not anchor or anchor in anchors, each.docs
        assert each.remedy.endswith(".")


def test_a_chain_ends_with_its_first_certificate_and_roots_with_their_last() -> None:
    soon, late = NOW + timedelta(days=10), NOW + timedelta(days=300)
    both = pem(late) + pem(soon)
    found = certificates_of({"engine_client": both, "engine_authority": both, "timestamp_authority": None})
    assert found == [
        Certificate(use="engine_client", ends=soon),
        Certificate(use="engine_authority", ends=late),
    ]
    with pytest.raises(InputInvalid, match="engine_client"):
        certificates_of({"engine_client": b"no certificate"})


@pytest.mark.parametrize(("days", "kind"), [(13, Bad), (15, str)])
async def test_a_certificate_that_ends_within_two_weeks_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, kind: type
) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(pem(datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)))
    settings = Settings(home=tmp_path, log_timestamp_url="http://127.0.0.1/", log_timestamp_certificates=file)
    assert isinstance(await engine_checks.certificates(settings), kind)


def test_files_that_others_may_read_are_found_and_taken_from_them(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.mkdir(mode=0o755)
    log = engine / "server.log"
    log.touch(mode=0o644)
    (tmp_path / "placet.db-wal").touch(mode=0o640)
    (tmp_path / "up.json").touch(mode=0o600)
    (tmp_path / "my-notes.txt").touch(mode=0o644)
    (engine / "elsewhere").symlink_to("/etc/passwd")
    tmp_path.chmod(0o755)
    assert set(shared_with_others(tmp_path)) == {tmp_path, engine, log, tmp_path / "placet.db-wal"}
    keep_private(tmp_path)
    assert not list(shared_with_others(tmp_path))
    assert (tmp_path / "my-notes.txt").stat().st_mode & 0o777 == 0o644
    assert Path("/etc/passwd").stat().st_mode & 0o044


async def test_a_file_of_keys_that_others_may_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, keys = tmp_path / "home", tmp_path / "keys"
    home.mkdir(mode=0o700)
    keys.touch(mode=0o640)
    monkeypatch.setenv("PLACET_PAYLOAD_KEYS_FILE", str(keys))
    found = await machine.permissions(Settings(home=home))
    assert isinstance(found, Bad)
    assert str(keys) in found.found
    keys.chmod(0o600)
    assert isinstance(await machine.permissions(Settings(home=home)), str)


@pytest.mark.parametrize(
    ("owner", "mode", "shared"),
    [
        ((0, 10001), 0o440, False),  # as Kubernetes mounts a secret into a pod of this group
        ((0, 10001), 0o444, True),
        ((0, 10001), 0o460, True),
        ((0, 20), 0o440, True),  # a group of others
        ((10001, 10001), 0o440, True),  # its owner could read it without the group
        ((10001, 10001), 0o400, False),
    ],
)
def test_a_secret_of_roots_may_be_read_by_the_group_of_the_process(
    monkeypatch: pytest.MonkeyPatch, owner: tuple[int, int], mode: int, *, shared: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    monkeypatch.setattr(os, "getegid", lambda: 10001)
    status = SimpleNamespace(st_uid=owner[0], st_gid=owner[1], st_mode=0o100000 | mode)
    assert machine._used_by_others(status) is shared  # type: ignore[arg-type]  # what it looks at


async def test_a_full_disk_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(await machine.disk(Settings(home=tmp_path / "none")), Unseen)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=10**8))
    found = await machine.disk(Settings(home=tmp_path))
    assert isinstance(found, Bad)
    assert "0.1 GB free" in found.found


async def test_a_mail_server_that_does_not_answer_is_a_fault_and_none_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLACET_SMTP_HOST", raising=False)
    assert isinstance(await mail(), Unseen)
    monkeypatch.setenv("PLACET_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("PLACET_SMTP_PORT", str(free_ports(Ports()).ui))
    found = await mail()
    assert isinstance(found, Bad)
    assert "cannot be reached" in found.found or "refused" in found.found
