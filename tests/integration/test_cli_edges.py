"""Commands where something is missing, unusable or elsewhere: each says so in words, and the rest goes on."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine_host.download import _reason
from tests.approvals import EXPENSE
from tests.processes import BIN, STAFF, Installation, installation
from tests.waiting import PATIENCE
from worker.connect import reason_of

ROOT = Path(__file__).parents[2]
NO_ENGINE = {"TEMPORAL_ADDRESS": "127.0.0.1:9"}


def _run(place: Installation, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN), *map(str, arguments)]
    return subprocess.run(
        command, env=place.env | env, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return Installation(home=tmp_path / "home", extra=NO_ENGINE)


@pytest.mark.parametrize(
    "command",
    [
        ("verify",),
        ("token", "ann"),
        ("doctor",),
        ("check", str(ROOT / "blueprints" / "contract.json")),
        ("simulate", str(ROOT / "blueprints" / "contract.json"), "--input", '{"counterparty": "a", "value": 1}'),
    ],
    ids=lambda command: command[0],
)
def test_a_look_makes_no_installation_where_there_is_none(place: Installation, command: tuple[str, ...]) -> None:
    done = _run(place, *command)
    assert not place.home.exists()
    assert "Traceback" not in done.stderr
    if command[0] in {"verify", "token"}:
        assert done.returncode == 2
        assert f"There is no Placet installation in {place.home}" in done.stderr
        assert "placet up" in done.stderr


def test_a_home_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = Installation(home=tmp_path / "file" / "home", extra=NO_ENGINE)
    done = _run(place, "up", "--port", "0")
    assert done.returncode == 2
    assert f"The folder {place.home} cannot be created" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_unusable_file_does_not_hide_what_is_found_about_the_others(place: Installation, tmp_path: Path) -> None:
    broken, absent = tmp_path / "broken.json", tmp_path / "absent.json"
    broken.write_text('{"name": ')
    good = ROOT / "blueprints" / "contract.json"
    done = _run(place, "check", broken, good, absent, "--json")
    assert done.returncode == 2
    found = {Path(one["file"]).name: one for one in json.loads(done.stdout)["files"]}
    assert [found[name]["ok"] for name in ("broken.json", "contract.json", "absent.json")] == [False, True, False]
    for name in ("broken.json", "absent.json"):
        assert [finding["code"] for finding in found[name]["findings"]] == ["unusable_file"]


def test_a_check_knows_the_people_and_the_actions_of_the_installation(place: Installation, tmp_path: Path) -> None:
    place.load(STAFF)
    unknown = {**EXPENSE, "process_steps": [{**EXPENSE["process_steps"][0], "approvers": ["user:nobody"]}]}
    file = tmp_path / "unknown.json"
    file.write_text(json.dumps(unknown))
    codes = {f["code"] for f in json.loads(_run(place, "check", file, "--json").stdout)["files"][0]["findings"]}
    assert "people_unknown" not in codes
    assert any(code.startswith("unknown") or code.endswith("unknown") for code in codes), codes


def test_verify_says_which_requests_there_are_none_of_and_what_differs(place: Installation) -> None:
    place.load(STAFF)
    done = _run(place, "verify", "nothing", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {"ok": False, "requests": [], "unknown": ["nothing"]}
    assert "There is no request nothing here" in done.stderr


def test_a_second_up_says_where_the_first_one_runs(tmp_path: Path) -> None:
    with installation(tmp_path / "home") as there:
        _, where = there.up()
        done = _run(there, "up", "--port", "0", "--json")
        assert (done.returncode, done.stdout) == (2, "")
        for part in (where["api"], where["temporal_ui"], str(where["pid"])):
            assert part in done.stderr


def test_nobody_else_on_the_machine_reads_the_data_and_the_mailbox_is_where_it_was(tmp_path: Path) -> None:
    with installation(tmp_path / "made" / "home") as there:
        there.load(STAFF)
        process, where = there.up()
        for part in (there.home, there.home / "up.json", there.home / "engine", there.home / "placet.db"):
            assert not part.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), part
        assert process.stop() == 0
        (there.home / "placet.db").chmod(0o644)  # as earlier versions left it
        _, again = there.up()
        assert again["mailbox"] == where["mailbox"]
        assert not (there.home / "placet.db").stat().st_mode & stat.S_IRWXO


_TCP = (
    "Failed client connect: Server connection error: tonic::transport::Error(Transport, ConnectError(ConnectError("
    '"tcp connect error", 127.0.0.1:7233, Os { code: 111, kind: ConnectionRefused, message: "Connection refused" })))'
)
_NAME = (
    "Server connection error: tonic::transport::Error(Transport, ConnectError(ConnectError("
    '"dns error", Custom { kind: Uncategorized, error: "failed to lookup address: Name not known" })))'
)
_TLS = "tonic::transport::Error(Transport, ConnectError(Custom { kind: InvalidData, error: "


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (_TCP, "connection refused"),
        (_NAME, "failed to lookup address: Name not known"),
        (
            f"{_TLS}InvalidCertificate(UnknownIssuer) }}))",
            "its certificate is not signed by an authority that is trusted here; see TEMPORAL_TLS_CA",
        ),
        (f"{_TLS}InvalidMessage(InvalidContentType) }}))", "it does not speak TLS; see TEMPORAL_TLS"),
        ("tonic::transport::Error(Transport, hyper::Error(Io))", "it hangs up or does not answer"),
    ],
)
def test_why_the_engine_cannot_be_reached_is_said_in_words(said: str, words: str) -> None:
    assert reason_of(RuntimeError(said)) == words


def test_a_download_that_fails_and_crashes_is_told_by_its_reason() -> None:
    output = (
        "reason: Failed starting Temporal dev server: failed to download ephemeral server executable: error sending "
        "request for url (https://temporal.download/cli/v1.9.1?arch=amd64&platform=linux&format=tar.gz)\n"
        "Fatal Python error: PyGILState_Release: thread state must be current when releasing\n"
        "Extension modules: google._upb._message (total: 1)\n"
    )
    assert _reason(output) == "https://temporal.download/cli/v1.9.1 cannot be reached"
    assert (
        _reason("Extension modules: google._upb._message (total: 1)\n") == "the download ended without an error message"
    )


def test_without_engine_programs_network_and_go_every_way_that_was_tried_is_told(tmp_path: Path) -> None:
    environment: dict[str, Any] = {
        "PATH": str(tmp_path),
        "PLACET_CACHE": str(tmp_path / "cache"),
        "https_proxy": "http://127.0.0.1:9",
        "HOME": os.environ.get("HOME", "/"),
    }
    done = subprocess.run(
        [str(BIN), "engine", "--find"], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 3
    tried = [line for line in done.stderr.splitlines() if line.startswith("- ")]
    assert len(tried) == 4
    for line, edge in zip(tried, ("not on PATH", "cache", "download", "Go is not on PATH"), strict=True):
        assert edge in line
    assert "Fatal" not in done.stderr
    assert "Extension modules" not in done.stderr


def test_the_web_ui_of_up_lists_requests_by_what_they_are_about_and_passes_all_else(tmp_path: Path) -> None:
    with installation(tmp_path / "home") as there, httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        _, where = there.up()
        ui = where["temporal_ui"]
        for path in ("/", "/namespaces/default/workflows"):
            page = http.get(f"{ui}{path}", follow_redirects=True)
            assert page.status_code == 200
            assert '{"label": "PlacetStage"}' in page.text
        asset = re.search(r'href="(/_app/[^"]+\.js)"', page.text)
        assert asset is not None
        assert len(http.get(f"{ui}{asset[1]}").content) > 100
        found = http.get(f"{ui}/api/v1/namespaces?pageSize=10").json()["namespaces"]
        assert "default" in {namespace["namespaceInfo"]["name"] for namespace in found}
        assert http.get(f"{ui}/api/v1/namespaces/not%2Fthere").status_code == 404
        assert http.get(ui, headers={"Host": "evil.example"}).status_code == 400
